// The status of a database for people and machines, from what its agent knows. Values in, values out.

import type { Lsn, Topology, TopologyServer } from '../contract.ts'
import type { ServerObservation } from '../servers/contract.ts'
import type { DatabaseGroupStatus, FailoverRecord, ServerStatus } from './contract.ts'
import type { LagClock } from './lag.ts'
import { groupState, type Standing } from './topology.ts'

export interface StatusQuestion {
  readonly standing: Standing
  readonly topology: Topology
  readonly life: 'new' | 'running' | 'stopping' | 'stopped' | 'failed'
  readonly durability: string
  readonly failovers: readonly FailoverRecord[]
  observation(id: string): ServerObservation | null
  /** Id of the server that it streams from now. */
  source(id: string): string | null
  pid(id: string): number | null
  readonly lag: LagClock
}

export function statusOf(question: StatusQuestion): DatabaseGroupStatus {
  const { standing, topology, life } = question
  const { journal } = standing.state
  return {
    name: standing.database,
    state: stateOf(question),
    reason: life === 'new' ? 'starting' : standing.plan.why,
    durability: question.durability,
    epoch: journal.epoch,
    timeline: journal.timeline || topology.timeline,
    paused: journal.paused,
    servers: topology.servers.map(server => serverStatus(question, server)),
    failovers: question.failovers.map(one => ({ ...one, tookMs: Math.max(0, one.tookMs) })),
  }
}

function stateOf({ standing, topology, life }: StatusQuestion): DatabaseGroupStatus['state'] {
  if (life === 'running') return groupState(topology, standing.state)
  return life === 'new' ? 'starting' : life
}

function serverStatus(question: StatusQuestion, server: TopologyServer): ServerStatus {
  const { standing, lag } = question
  const { primary } = standing.state.journal
  const seen = question.observation(server.id)
  const answers = seen?.answers === true
  const head = primary === null ? null : question.observation(primary)
  const replica = server.role === 'replica' && answers
  const replayed: Lsn = seen?.replayedLsn ?? 0
  return {
    id: server.id,
    role: server.role,
    state: server.state,
    reason: server.reason,
    host: server.host,
    port: server.port,
    pid: question.pid(server.id),
    delayMs: server.delayMs,
    lsn: answers ? seen.position.lsn : 0,
    lagBytes: replica && head?.answers === true ? Math.max(0, head.position.lsn - replayed) : null,
    lagMs: replica ? lag.behindMs(standing.nowUs, replayed) : null,
    from: question.source(server.id),
  }
}
