/** Compiles only for `true`: `isTrue<Equal<A, B>>()`. */
export function isTrue<_T extends true>(): void {}
/** Are two types the very same? `any` is the same only as `any`. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
