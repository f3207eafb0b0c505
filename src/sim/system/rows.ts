// What is known of a request and of an attempt while they last: columns of `models/table.ts`.

export const requestFields = {
  action: 'i32',
  proxy: 'i32',
  service: 'i32',
  edge: 'i32',
  client: 'i32',
  object: 'i32',
  /** When the client first asked. */
  firstAt: 'f64',
  /** Grows with each try of any client: what belongs to an earlier one is told apart. */
  tryNumber: 'i32',
  tries: 'i32',
  /** Attempts but hedges; retries and hedges; those of them that the budget counts. */
  count: 'i32',
  retries: 'i32',
  budgeted: 'i32',
  counted: 'i32',
  primary: 'i32',
  second: 'i32',
  /** The attempt whose instance asks, and its life; -1: a client asks. */
  parent: 'i32',
  parentLife: 'i32',
  waits: 'i32',
  waitEvent: 'f64',
  hedges: 'i32',
  hedgeEvent: 'f64',
  /** Others wait for its answer (a cache's miss). */
  leads: 'i32',
  /** Where it is for its client: 0 on the way, 1 at the edge, 2 answered. */
  place: 'i32',
  outcome: 'i32',
} as const

export const attemptFields = {
  request: 'i32',
  requestLife: 'i32',
  edge: 'i32',
  worker: 'i32',
  service: 'i32',
  instance: 'i32',
  instanceLife: 'i32',
  slot: 'i32',
  client: 'i32',
  object: 'i32',
  sentAt: 'f64',
  status: 'i32',
  failure: 'i32',
  stage: 'i32',
  /** 1 while the edge waits for it. */
  held: 'i32',
  /** Which of the service's calls runs, and how many of its repetitions are left. */
  call: 'i32',
  left: 'i32',
} as const
