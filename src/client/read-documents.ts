const FLOW_RUN_FIELDS = `id name flow_id state state_message state_timestamp labels parameters times_resurrected created
  scheduled_start_time start_time end_time flow { name version project { name } } agent { name }`;

/**
 * The queries behind `reads.ts` and `run-reads.ts`. In the Cloud's filters an operand that is null compares nothing, so a filter that is not
 * set needs no document of its own. A test holds each against the Cloud's schema.
 */
export const readDocuments = {
  flows: `query($name: String, $project: String, $archived: Boolean, $limit: Int) {
    flow(where: {name: {_eq: $name}, archived: {_eq: $archived}, project: {name: {_eq: $project}}},
         order_by: [{name: asc}, {project: {name: asc}}, {version: desc}], limit: $limit) {
      id flow_group_id name version archived description created run_config project { name } } }`,
  projects: `query($limit: Int) {
    project(order_by: {name: asc}, limit: $limit) {
      id name description created flows_aggregate(where: {archived: {_eq: false}}, distinct_on: flow_group_id) { aggregate { count } } } }`,
  flowRuns: `query($flow: String, $project: String, $states: [String!], $limit: Int) {
    flow_run(where: {state: {_in: $states}, flow: {name: {_eq: $flow}, project: {name: {_eq: $project}}}},
             order_by: {created: desc}, limit: $limit) { ${FLOW_RUN_FIELDS} } }`,
  flowRun: `query($id: UUID!) { flow_run_by_pk(id: $id) { ${FLOW_RUN_FIELDS} } }`,
  /** Newest first. */
  flowRunsByName: `query($name: String!, $notIn: [String!], $limit: Int) {
    flow_run(where: {name: {_eq: $name}, _or: [{state: {_is_null: true}}, {state: {_nin: $notIn}}]},
             order_by: {created: desc}, limit: $limit) { ${FLOW_RUN_FIELDS} } }`,
  taskRuns: `query($flowRun: UUID!, $states: [String!], $since: DateTime, $limit: Int, $offset: Int) {
    task_run(where: {flow_run_id: {_eq: $flowRun}, state: {_in: $states}, updated: {_gte: $since}},
             order_by: [{start_time: asc}, {map_index: asc}, {id: asc}], limit: $limit, offset: $offset) {
      id map_index version state state_message state_timestamp serialized_state start_time end_time updated task { name slug } } }`,
  logs: `query($flowRun: UUID!, $levels: [String!], $limit: Int) {
    log(where: {flow_run_id: {_eq: $flowRun}, level: {_in: $levels}}, order_by: [{timestamp: desc}, {id: desc}], limit: $limit) {
      timestamp level name message task_run_id } }`,
  agents: `query($limit: Int) {
    agent(order_by: {last_queried: desc}, limit: $limit) { id name type labels last_queried } }`,
  flowTasks: `query($id: UUID!) { flow_by_pk(id: $id) { serialized_flow tasks { slug name type mapped } } }`,
} as const;
