// One look at a server: what is asked, and what the answer means. The same for our own servers and for existing ones.

import type { LogPosition, Lsn } from '../contract.ts'
import type { ServerObservation } from './contract.ts'
import type { Row } from './session.ts'

/** One row. A position is bytes since 0/0; null where it means nothing for the server's role. */
export const lookSql = `
SELECT r, system_identifier,
  CASE WHEN r THEN NULL ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  CASE WHEN r THEN NULL ELSE pg_current_wal_flush_lsn() - '0/0' END,
  CASE WHEN r THEN pg_last_wal_receive_lsn() - '0/0' END,
  CASE WHEN r THEN pg_last_wal_replay_lsn() - '0/0' END,
  greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery())),
  (SELECT json_build_object('status', status, 'host', sender_host, 'port', sender_port, 'timeline', received_tli)
    FROM pg_stat_wal_receiver LIMIT 1),
  CASE WHEN r THEN NULL ELSE (SELECT json_agg(json_build_object('id', application_name, 'state', state, 'sync', sync_state,
    'flush', flush_lsn - '0/0', 'replay', replay_lsn - '0/0')) FROM pg_stat_replication) END
FROM (SELECT pg_is_in_recovery() AS r OFFSET 0) AS role, pg_control_system()`

interface Receiver {
  readonly status: string | null
  readonly host: string | null
  readonly port: number | null
  readonly timeline: number | null
}

export interface Look {
  readonly inRecovery: boolean
  readonly systemId: string
  readonly position: LogPosition
  readonly receivedLsn: Lsn
  readonly replayedLsn: Lsn
  readonly streamsFrom: string | null
  /** The timeline that it receives; null: it does not. */
  readonly receives: number | null
  readonly standbys: ServerObservation['standbys']
}

export function lookOf(row: Row): Look {
  const inRecovery = row[0] === 't' || row[0] === 'true'
  const receiver = parsed<Receiver>(row[7])
  const streams = receiver !== null && receiver.status === 'streaming'
  const replayed = Number(row[5] ?? 0)
  // After a reconnect the receiver counts from the start of a segment, behind what was replayed already.
  const received = Math.max(Number(row[4] ?? 0), replayed)
  const flushed = Number(row[3] ?? 0)
  const known = Math.max(Number(row[6] ?? 0), receiver?.timeline ?? 0)
  return {
    inRecovery,
    systemId: row[1] ?? '',
    position: {
      timeline: inRecovery ? known : Number(row[2] ?? known),
      lsn: inRecovery ? received : flushed,
    },
    receivedLsn: inRecovery ? received : flushed,
    replayedLsn: inRecovery ? replayed : flushed,
    streamsFrom: streams ? `${receiver.host}:${receiver.port}` : null,
    receives: streams ? receiver.timeline : null,
    standbys: (parsed<Standby[]>(row[8]) ?? []).map(standby => ({
      id: standby.id,
      state: standby.state,
      sync: standby.sync,
      flushLsn: standby.flush ?? 0,
      replayLsn: standby.replay ?? 0,
    })),
  }
}

interface Standby {
  readonly id: string
  readonly state: string
  readonly sync: string
  readonly flush: number | null
  readonly replay: number | null
}

function parsed<Value>(text: string | null | undefined): Value | null {
  return text === null || text === undefined ? null : (JSON.parse(text) as Value)
}

/** A look that showed nothing, and why. */
export function silent(
  id: string,
  problem: string,
  processAlive: boolean | null,
  tookUs: number,
): ServerObservation {
  return {
    id,
    processAlive,
    answers: false,
    problem,
    inRecovery: false,
    position: { timeline: 0, lsn: 0 },
    receivedLsn: 0,
    replayedLsn: 0,
    streamsFrom: null,
    standbys: [],
    writes: false,
    systemId: '',
    tookUs,
  }
}

/** For people: what a refused or broken connection says. */
export function problemOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string }
  if (code === 'ECONNREFUSED') return 'connection refused'
  if (code === 'ECONNRESET' || message === 'Connection terminated unexpectedly') return 'connection ended'
  return message
}
