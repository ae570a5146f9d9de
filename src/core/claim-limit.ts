/** How many runs one claim may ask for: more at once would hold the Cloud's write lock for longer than other agents should wait. */
export const MAX_CLAIM = 200;
