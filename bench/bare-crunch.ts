/** The work of the bench's task `crunch`, for a bare piscina. */
export function bareCrunch(rounds: number): number {
  let value = 1;
  for (let round = 0; round < rounds; round += 1) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
  return value;
}
