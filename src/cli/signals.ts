/** Calls `stop` on SIGINT and SIGTERM with how often one has come; the returned function ends that. */
export function onStopSignals(stop: (times: number) => void): () => void {
  let times = 0;
  const handle = () => {
    times += 1;
    stop(times);
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}
