// The fleet: services run as processes, and the addresses of those that run elsewhere. It starts, watches, rolls,
// scales and ends instances and publishes the members of each service; it never carries a request.

import type { Fleet, FleetOptions } from './contract.ts'
import { RunningFleet } from './fleet.ts'

export type * from './contract.ts'
export { fleetFailures } from './failures.ts'
export { specVersion } from './version.ts'

/** Starts nothing yet: call `adopt`, then `apply`. */
export function createFleet(options: FleetOptions): Fleet {
  return new RunningFleet(options)
}
