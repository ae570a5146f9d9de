import { MillraceError } from "./errors.js";
import type { FlowTask } from "./flow-definition.js";

/**
 * The tasks in an order in which each comes after its upstreams, otherwise as they were defined.
 * @throws FLOW_CYCLE, naming the circle
 */
export function inDependencyOrder<T extends FlowTask>(flowName: string, tasks: readonly T[]): T[] {
  const ordered: T[] = [];
  const done = new Set<FlowTask>();
  // An own stack rather than recursion: a chain of 100,000 tasks is a legal flow.
  for (const start of tasks) {
    const open: { task: FlowTask; next: number }[] = [{ task: start, next: 0 }];
    const onPath = new Set<FlowTask>([start]);
    while (open.length > 0) {
      const top = open[open.length - 1]!;
      if (done.has(top.task) || top.next === top.task.upstream.length) {
        open.pop();
        onPath.delete(top.task);
        if (!done.has(top.task)) ordered.push(top.task as T);
        done.add(top.task);
        continue;
      }
      const { upstream } = top.task.upstream[top.next++]!;
      if (onPath.has(upstream))
        throw cycle(
          flowName,
          open.map((each) => each.task),
          upstream,
        );
      if (done.has(upstream)) continue;
      onPath.add(upstream);
      open.push({ task: upstream, next: 0 });
    }
  }
  return ordered;
}

function cycle(flowName: string, path: readonly FlowTask[], back: FlowTask): MillraceError {
  const circle = [...path.slice(path.indexOf(back)), back].map((each) => each.slug).reverse();
  return new MillraceError(
    "FLOW_CYCLE",
    `Flow "${flowName}" has tasks that wait for each other: ${circle.join(" → ")}.`,
    {
      hint: "Take out the .after() that closes the circle.",
      details: circle,
    },
  );
}

/**
 * The tasks that nothing waits for: they decide the flow run's state unless its author names others. Tasks that clean up
 * are left out, as in Prefect: those that only they wait for stand in their place.
 */
export function terminalTasks(tasks: readonly FlowTask[]): FlowTask[] {
  const working = tasks.filter((each) => !each.cleansUp);
  const waitedFor = new Set(working.flatMap((each) => each.upstream.map((edge) => edge.upstream)));
  return working.filter((each) => !waitedFor.has(each));
}
