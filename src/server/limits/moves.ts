import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";

/** How a run stood before its last move. */
export interface Before {
  serialized: string | null;
  startTime: string | null;
}

/** What a transaction did that concurrency limits have to know; looked at once, when it is about to commit. */
export interface LimitMoves {
  readonly tasks: Map<TaskRunRow, Before>;
  readonly flows: Map<FlowRunRow, Before>;
  /** Given back while Running: they hold nothing while they wait. */
  readonly handedBack: Set<FlowRunRow>;
  /** Tags and labels whose limit was set or taken away. */
  readonly changed: { readonly kind: "task_tag" | "flow_label"; readonly name: string }[];
  /** Flow runs whose place in the lines is to be looked at again. */
  readonly lookedAfter: string[];
}

export function noMoves(): LimitMoves {
  return { tasks: new Map(), flows: new Map(), handedBack: new Set(), changed: [], lookedAfter: [] };
}

export function isEmpty({ tasks, flows, handedBack, changed, lookedAfter }: LimitMoves): boolean {
  return tasks.size + flows.size + handedBack.size + changed.length + lookedAfter.length === 0;
}

/** Takes out what there is, and leaves it empty. */
export function takeMoves(moves: LimitMoves): LimitMoves {
  const taken = {
    tasks: new Map(moves.tasks),
    flows: new Map(moves.flows),
    handedBack: new Set(moves.handedBack),
    changed: [...moves.changed],
    lookedAfter: [...moves.lookedAfter],
  };
  moves.tasks.clear();
  moves.flows.clear();
  moves.handedBack.clear();
  moves.changed.length = 0;
  moves.lookedAfter.length = 0;
  return taken;
}

export function beforeOf(run: TaskRunRow | FlowRunRow): Before {
  return { serialized: run.serialized_state, startTime: run.start_time };
}
