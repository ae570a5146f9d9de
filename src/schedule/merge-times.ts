/** Several ordered streams of times as one; of equal times each stream's own is kept, in the order of the streams. */
export function* mergeTimes(streams: readonly Iterator<number>[]): Generator<number> {
  for (const [, at] of mergeStreams(streams)) yield at;
}

/** As {@link mergeTimes}, with the index of the stream that each time comes from. */
export function* mergeStreams(streams: readonly Iterator<number>[]): Generator<[index: number, at: number]> {
  // A schedule has a handful of clocks: looking at each head costs less than keeping a heap.
  const heads = streams.map((stream) => take(stream));
  for (;;) {
    let first = -1;
    for (let index = 0; index < heads.length; index += 1)
      if (heads[index] !== undefined && (first < 0 || heads[index]! < heads[first]!)) first = index;
    if (first < 0) return;
    yield [first, heads[first]!];
    heads[first] = take(streams[first]!);
  }
}

function take(stream: Iterator<number>): number | undefined {
  const next = stream.next();
  return next.done ? undefined : next.value;
}
