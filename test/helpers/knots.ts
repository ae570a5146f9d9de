/** The groups of files that all reach one another, by Tarjan's algorithm. */
export function knots(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[] = [];
  const visit = (at: string): void => {
    index.set(at, index.size);
    low.set(at, index.get(at)!);
    stack.push(at);
    for (const next of graph.get(at) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(at, Math.min(low.get(at)!, low.get(next)!));
    }
    if (low.get(at) !== index.get(at)) return;
    const knot = stack.splice(stack.indexOf(at));
    if (knot.length > 1 || graph.get(at)?.includes(at)) found.push(knot.join(" ↔ "));
  };
  for (const path of graph.keys()) if (!index.has(path)) visit(path);
  return found;
}
