/** One line of a bench table: what was measured, and the bare limit it is held against. */
export interface BenchRow {
  what: string;
  figure: string;
  /** The bare limit, measured in the same run. */
  bare: string;
  ratio: string;
  goal: string;
  /** Does the figure reach the goal? Undefined where the issue sets none. */
  reached?: boolean;
}

export interface BenchTable {
  title: string;
  rows: BenchRow[];
  /** What holds the figure back. */
  note: string;
}

export function printTable({ title, rows, note }: BenchTable): void {
  const cells = [
    ["what", "figure", "bare limit", "ratio", "goal", ""],
    ...rows.map((row) => [
      row.what,
      row.figure,
      row.bare,
      row.ratio,
      row.goal,
      row.reached === undefined ? "" : row.reached ? "reached" : "MISSED",
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  console.log(`\n${title}`);
  cells.forEach((row, index) => {
    console.log(
      `  ${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()}`,
    );
    if (index === 0) console.log(`  ${widths.map((width) => "-".repeat(width)).join("  ")}`);
  });
  console.log(`  ${note}`);
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export const micros = (ms: number): string => `${Math.round(ms * 1000)} µs`;
export const millis = (ms: number): string => `${ms.toFixed(1)} ms`;
export const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString("en")}/s`;
