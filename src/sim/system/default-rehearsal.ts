// What is rehearsed where the file names nothing: five minutes at the peak, after half a minute of warm-up.

import type { CheckedRehearsal } from '../../file/checked-rehearsals.ts'

export const defaultRehearsal: CheckedRehearsal = {
  name: 'peak',
  about: 'Five minutes at the peak of the workload.',
  seed: 1,
  durationMs: 300_000,
  warmupMs: 30_000,
  arrivals: { level: { kind: 'peak', times: 1 }, shape: { kind: 'poisson' } },
  clients: { patienceMs: null, retries: 0, backoffBaseMs: 100, backoffMaxMs: 10_000, jitter: true },
  edges: 1,
  sample: 1,
  databases: {},
  faults: [],
  expect: [],
}
