// How a resharding stands, as operators are shown it. Pure.

import type { ReshardJournal, ReshardPlan, ReshardStep } from '../policy/shard/reshard-contract.ts'
import type { ReshardView } from './control/database-views.ts'

interface Status {
  readonly journal: ReshardJournal
  readonly progress: readonly {
    readonly stream: string
    readonly table: string
    readonly rows: number
    readonly bytes: number
  }[]
  readonly changes: number
  readonly holds: number
}

/** Null: there was none. */
export function reshardView(database: string, status: Status | null): ReshardView {
  if (status === null) return { database, current: null }
  const { journal, progress, changes, holds } = status
  const { id, step, moves, joining, copied, pauseMs, trouble, backLost, wishes, begunAt, differences } =
    journal
  return {
    database,
    current: {
      id,
      step,
      state: stateOf(step),
      begunAt: new Date(begunAt / 1000).toISOString(),
      moves: moves.map(({ family, from, into, slots }) => ({
        family,
        from,
        into,
        slots: slots === null ? null : slots.length,
      })),
      joining: [...joining],
      tablesCopied: Object.values(copied).reduce((sum, tables) => sum + Object.keys(tables).length, 0),
      tables: progress.map(({ stream, table, rows, bytes }) => ({
        stream,
        table,
        rows: Math.max(rows, 0),
        bytes,
      })),
      changesApplied: changes,
      holds,
      pauseMs,
      trouble,
      differences: differences === null ? null : { count: differences.count, rows: [...differences.rows] },
      wayBack: step === 'reversible' ? (backLost === '' ? 'open' : backLost) : '',
      wishes: Object.entries(wishes).flatMap(([wish, wished]) => (wished ? [wish] : [])),
    },
  }
}

function stateOf(step: ReshardStep): 'moving' | 'moved' | 'over' {
  if (step === 'reversible') return 'moved'
  return step === 'done' || step === 'cancelled' || step === 'rolled-back' ? 'over' : 'moving'
}

/** In a few words. */
export function planText({ moves, joining, share }: Extract<ReshardPlan, { kind: 'change' }>): string {
  const each = moves.map(({ family, from, into, slots }) => {
    const what = slots === null ? 'rows' : `${slots.length} slot${slots.length === 1 ? '' : 's'}`
    return `${what} of ${family} from shard ${from} to ${into}`
  })
  const joins = joining.length === 0 ? '' : `shard ${joining.join(', ')} joins; `
  const part = share > 0 ? ` (${(share * 100).toFixed(1)} % of the slots)` : ''
  return `${joins}${each.length === 0 ? 'no rows move' : each.join(', ')}${part}`
}
