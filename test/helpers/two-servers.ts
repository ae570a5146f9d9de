import { newId } from "../../src/core/ids.js";
import { startServer } from "../../src/server/server.js";
import { startTestCloud, type TestCloud, talkTo } from "./server.js";
import { makeDatabase } from "./test-database.js";

/** Two servers over one database; the second one knows the first one's key. */
export async function startTwo(t: Parameters<typeof startTestCloud>[0]): Promise<[TestCloud, TestCloud]> {
  const database = await makeDatabase(t, newId());
  const first = await startTestCloud(t, { database });
  const server = await startServer({ database, port: 0, log: () => {} });
  t.teardown(() => server.close());
  return [first, talkTo(server, database, [], first.token)];
}
