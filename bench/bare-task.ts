/** A piscina task that does nothing: what one hop to a thread and back costs. */
export function bareTask(): null {
  return null;
}
