// How a database stands, for routers and for people, from what its agent decided and saw. Values in, values out.

import type { FailoverPlan, FailoverSettings, FailoverState } from '../../policy/index.ts'
import { verdictOf } from '../../policy/index.ts'
import type { Topology, TopologyServer } from '../contract.ts'
import type { DatabaseServers } from '../servers/contract.ts'
import type { DatabaseGroupStatus } from './contract.ts'

export interface Standing {
  readonly nowUs: number
  readonly state: FailoverState
  readonly plan: FailoverPlan
  readonly settings: FailoverSettings
  readonly database: string
  readonly servers: Pick<DatabaseServers, 'address'>
}

/** @param opening the primary's epoch is being opened by this very topology */
export function topologyOf(standing: Standing, opening: boolean): Topology {
  const { state, plan, database } = standing
  const { journal } = state
  const primary = opening || isOpen(standing) ? journal.primary : null
  return {
    database,
    epoch: journal.epoch,
    timeline: journal.timeline,
    primary,
    trouble: primary === null ? plan.trouble || plan.why : plan.trouble,
    holding: journal.change?.phase === 'hold',
    servers: standing.settings.members.map(({ id, delayMs }): TopologyServer => {
      const { host, port } = standing.servers.address(id)
      const one = plan.servers[id] ?? { state: 'starting', reason: 'is being made' }
      const role = id === journal.primary ? 'primary' : 'replica'
      return { id, host, port, role, delayMs, state: one.state, reason: one.reason }
    }),
  }
}

/** Routers may send writes to it. In doubt it stays: they find out by themselves that it does not answer. */
function isOpen({ nowUs, state, settings }: Standing): boolean {
  const { primary, epoch, change } = state.journal
  if (primary === null || state.openedEpoch < epoch) return false
  if (change !== null && change.phase !== 'hold') return false
  return ['good', 'doubt', 'unknown'].includes(verdictOf(nowUs, primary, state, settings))
}

export function groupState(topology: Topology, state: FailoverState): DatabaseGroupStatus['state'] {
  if (state.journal.change !== null) return 'failing-over'
  if (topology.primary === null)
    return topology.servers.some(one => one.state === 'ready') ? 'read-only' : 'failed'
  const whole = topology.servers.every(one => one.state === 'ready')
  return whole && topology.trouble === '' ? 'ready' : 'degraded'
}
