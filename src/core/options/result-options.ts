/** What a location may be made of; see {@link ResultOptions.location}. */
export interface LocationNames {
  readonly flowName: string;
  readonly flowRunId: string;
  readonly flowRunName: string;
  readonly taskName: string;
  readonly taskSlug: string;
  readonly taskRunId: string;
  readonly mapIndex: number;
  readonly runCount: number;
  readonly scheduledStartAt: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The task's arguments, in order. */
  readonly inputs: readonly unknown[];
}

/** A place of a result: a template such as `"{flowName}/{parameters.day}.json"`, or a function that gives the place. */
export type Location = string | ((names: LocationNames) => string);

/** How results are turned into bytes: `v8` keeps Map, Date, BigInt and the like, `json` can be read by anything. */
export type SerializerName = "v8" | "json";

/**
 * Where and how a task's results are kept; made by `results.local()` and its fellows. Plain data, but for `location`.
 * A task's own goes before its flow's, and that before the default: small JSON in the state, the rest on the local disk.
 */
export interface ResultOptions {
  readonly kind: "local" | "inline" | "s3" | "gcs" | "azure";
  readonly serializer: SerializerName;
  /** Default: the flow run, the task run and the content's hash. */
  readonly location?: Location;
  /** Fields of the kind, for instance `folder`, `bucket`, `container`, `prefix`, `endpoint`. */
  readonly place: Readonly<Record<string, unknown>>;
}
