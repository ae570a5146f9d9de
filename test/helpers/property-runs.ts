const asked = Number(process.env.MILLRACE_PROPERTY_RUNS);

/** How many examples a property is tried with: as usual, or as many as MILLRACE_PROPERTY_RUNS says. */
export function propertyRuns(usual: number): number {
  return asked > 0 ? asked : usual;
}

/** For tests of properties: a failure takes a while to be made small. As many examples as one likes take their time. */
export const PROPERTY_TIMEOUT_MS = asked > 0 ? 24 * 60 * 60 * 1_000 : 120_000;
