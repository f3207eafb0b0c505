// A split of a table on a real server, without a system around it: an executor whose journal is kept in memory, and that can be
// ended at any write of its journal as a killed supervisor would be.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  firstSplitJournal,
  lookAtSplit,
  SplitExecutor,
  type SplitPorts,
} from '../../src/database/columns/index.ts'
import { Session } from '../../src/database/servers/session.ts'
import type { SplitAsk, SplitJournal, SplitStep } from '../../src/policy/split-columns/contract.ts'
import type { PostgresServer } from '../tools/postgres-server.ts'

export type Ask = (shard: string, sql: string, timeoutMs?: number) => ReturnType<Session['query']>

export function operatorOf(t: Pick<TestContext, 'after'>, server: PostgresServer): Session {
  const { host, port } = server
  const session = new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' }))
  t.after(() => session.close())
  return session
}

export interface Splitting {
  readonly journal: SplitJournal
  readonly executor: SplitExecutor
  /** Steps as they were written down. */
  readonly steps: SplitStep[]
  epoch: number
  /** Ends it at this write of the journal, before or after it is on disk; 0: never. */
  killAt: number
  killBefore: boolean
  killed: boolean
  /** How often it was ended. */
  kills: number
  until(step: SplitStep): Promise<void>
  /** As the next supervisor does: from what was written down. */
  again(): void
}

export async function splitting(
  t: Pick<TestContext, 'after'>,
  ask: Ask,
  wanted: SplitAsk,
  options: { readonly shards?: readonly string[]; readonly finish?: boolean } = {},
): Promise<Splitting> {
  const { shards = [''], finish = false } = options
  const look = await lookAtSplit((shard, sql, ms) => ask(shard, sql, ms), shards, wanted)
  if (look.decision.kind === 'refused') throw new Error(look.decision.why.join('\n'))
  const { plan } = look.decision
  const number = 0.123456789
  let kept = firstSplitJournal({ database: 'main', plan, shards, finish, number, nowUs: 1_000_000 })
  let writes = 0
  const steps: SplitStep[] = []
  const ports: SplitPorts = {
    ask: (shard, sql, ms) => ask(shard, sql, ms),
    epoch: () => state.epoch,
    nowMs: () => performance.now(),
    keep: journal => {
      writes++
      const dies = writes === state.killAt
      if (state.killed) throw new Error('killed')
      if (!dies || !state.killBefore) {
        kept = JSON.parse(JSON.stringify(journal)) as SplitJournal
        if (steps.at(-1) !== journal.step) steps.push(journal.step)
      }
      if (dies) {
        state.killed = true
        state.kills++
        void executor.stop()
        throw new Error('killed')
      }
    },
    relearn: async () => {},
    say: () => {},
  }
  let executor = new SplitExecutor(ports, kept)
  const state: Splitting = {
    get journal() {
      return kept
    },
    get executor() {
      return executor
    },
    steps,
    epoch: 1,
    killAt: 0,
    killBefore: false,
    killed: false,
    kills: 0,
    until: async step => {
      for (const begun = performance.now(); kept.step !== step; await sleep(5)) {
        if (state.killed) return
        assert.ok(performance.now() - begun < 120_000, `${kept.step}: ${kept.trouble}`)
      }
    },
    again: () => {
      state.killed = false
      state.killAt = 0
      executor = new SplitExecutor(ports, kept)
      executor.start()
    },
  }
  t.after(() => executor.stop())
  executor.start()
  return state
}
