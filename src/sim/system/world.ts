// What all parts of a simulated system share: the engine, the plan, what is measured, and how long messages take.

import { type Engine, Law } from '../core/index.ts'
import type { Window } from '../models/window.ts'
import type { Blueprint } from './blueprint.ts'
import type { Timeline } from './timeline.ts'
import type { Traffic } from './traffic.ts'

export interface World {
  readonly engine: Engine
  readonly blueprint: Blueprint
  readonly window: Window
  readonly timeline: Timeline
  readonly traffic: Traffic
  readonly network: Network
}

/** One way, by where from and where to. */
export class Network {
  readonly client: Law
  readonly inside: Law
  readonly zones: Law

  constructor({ workload }: Blueprint) {
    this.client = new Law(workload.network.client)
    this.inside = new Law(workload.network.inside)
    this.zones = new Law(workload.network.zones)
  }
}

/** Members are spread over the zones in turn: the first is in zone 1. @param member from 0 */
export function zoneOf(member: number, zones: number): number {
  return (member % Math.max(1, zones)) + 1
}
