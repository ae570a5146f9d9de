import { MillraceError } from "./errors.js";
import type { FlowTask } from "./flow-definition.js";
import type { TaskOptions } from "./task.js";

/** The tasks of a flow under way by their slugs, and how slugs are made. */
export class Slugs {
  readonly #flowName: string;
  readonly #tasks = new Map<string, FlowTask>();
  readonly #counters = new Map<string, number>();

  constructor(flowName: string) {
    this.#flowName = flowName;
  }

  get(slug: string): FlowTask | undefined {
    return this.#tasks.get(slug);
  }

  take(flowTask: FlowTask): void {
    this.#tasks.set(flowTask.slug, flowTask);
  }

  /**
   * Name, sorted tags and a counter in order of definition, as Prefect has made slugs since 0.12.1.
   * @throws FLOW_NAME_TAKEN when the author's own slug is taken
   */
  next(name: string, options: Readonly<TaskOptions>): string {
    if (options.slug !== undefined) return this.#own(options.slug);
    const prefix = [name, ...[...(options.tags ?? [])].sort()].join("-");
    for (;;) {
      const next = (this.#counters.get(prefix) ?? 0) + 1;
      this.#counters.set(prefix, next);
      const slug = `${prefix}-${next}`;
      if (!this.#tasks.has(slug)) return slug;
    }
  }

  #own(slug: string): string {
    if (!this.#tasks.has(slug)) return slug;
    throw new MillraceError("FLOW_NAME_TAKEN", `Flow "${this.#flowName}" has two tasks with the slug "${slug}".`, {
      hint: "Leave `slug` out, or give each its own with task.with({ slug }).",
    });
  }
}
