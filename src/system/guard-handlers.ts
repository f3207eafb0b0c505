// What the control API asks of the guard, answered by the edge's processes and by the rulings that are kept here. Decides
// nothing.

import { auditFilesMax } from '../guard/audit/audit-log.ts'
import { recordInLog } from '../guard/audit/read.ts'
import { guardFailures } from '../guard/failures.ts'
import type { RequestRecord } from '../guard/messages.ts'
import type { GuardRuling } from '../guard/part.ts'
import { roomFailures } from '../guard/room/failures.ts'
import { Failure } from '../kit/failure.ts'
import { isInBlocks, parseBlock } from '../policy/address.ts'
import type { GuardHandlers } from './control/guard-handlers.ts'
import type {
  GuardBanView,
  GuardExplanationView,
  GuardRulingView,
  GuardRulingWish,
  GuardView,
} from './control/guard-views.ts'
import type { EdgeProcess } from './edge-process.ts'
import { systemFailures } from './failures.ts'
import { doubtedReach } from './ruling-reach.ts'
import { blockText, type Rulings } from './rulings.ts'

export interface HandledGuard {
  /** Throws SYSTEM_BUSY while it is not there yet. */
  edge(): Pick<EdgeProcess, 'guard' | 'tellGuard'>
  readonly rulings: Rulings
  /** Does the running file have a guard? */
  enabled(): boolean
  auditFile(): string
  trustedProxies(): readonly string[]
  /** What the running file bans and allows by itself. */
  filed(): readonly string[]
  /** The snapshots to come hold the rulings of now. */
  publish(): Promise<void>
  tell(text: string): void
}

/** As the edge's guard answers `status`. */
interface EdgeGuardStatus extends Omit<GuardView, 'rulings' | 'bans'> {
  readonly bans: {
    readonly count: number
    readonly last: readonly (Omit<GuardBanView, 'until'> & { readonly untilMs: number })[]
  }
}

export function guardHandlers(handled: HandledGuard): GuardHandlers {
  const { rulings } = handled
  const edge = (): Pick<EdgeProcess, 'guard' | 'tellGuard'> => {
    if (!handled.enabled())
      throw new Failure(systemFailures.guardUnasked, "The running file has no 'guard' with a policy.")
    return handled.edge()
  }
  const spread = async (text: string): Promise<void> => {
    await edge().tellGuard({ kind: 'rulings', rulings: rulings.current, text })
    handled.tell(text)
    await handled.publish()
  }
  return {
    status: async () => viewOf(await edge().guard<EdgeGuardStatus>({ kind: 'status' }), rulings.current),
    explain: async id => {
      const recent = await edge().guard<RequestRecord | null>({ kind: 'explain', id })
      const found = recent ?? (await recordInLog(handled.auditFile(), auditFilesMax, id))
      if (found !== null) return explanationOf(found)
      throw new Failure(guardFailures.requestUnknown, `No refused request has the id '${id}'.`)
    },
    rule: async wish => {
      edge()
      if (wish.sure !== true) refuseWide(wish, handled.trustedProxies())
      const given = rulings.give(wish)
      const text = `${given.block} is ${given.kind === 'ban' ? 'banned' : 'allowed'} ${untilText(given)}: ${given.reason}`
      await spread(text)
      return { text }
    },
    unban: async what => {
      edge()
      const said = what.includes('@') || /^(account|session|key):/.test(what) ? false : rulings.takeBack(what)
      const ended = await edge().tellGuard<{ ended: readonly string[] }>({ kind: 'unban', what })
      const keys = [...new Set(ended.flatMap(one => one?.ended ?? []))]
      if (!said && keys.length === 0) throw nobodyBanned(what, rulings.current, handled.filed())
      const bans = `${keys.length} ban${keys.length === 1 ? '' : 's'} by rules ended`
      const text = `${what}: ${said ? 'what was said by command is taken back, ' : ''}${bans}`
      await spread(text)
      return { text }
    },
    ask: async question => {
      const answer = await edge().guard(question)
      // No part of this guard has rooms.
      if (answer === null && question.kind.startsWith('room-'))
        throw new Failure(
          roomFailures.unknown,
          `There is no waiting room '${roomOf(question)}': none is in use.`,
        )
      return answer
    },
  }
}

function roomOf(question: { readonly kind: string; readonly room?: unknown }): string {
  return String(question.room ?? '')
}

function refuseWide({ kind, block, operatorAt }: GuardRulingWish, trustedProxies: readonly string[]): void {
  const doubt = doubtedReach({ kind, block: blockText(block), trustedProxies, operatorAt })
  if (doubt !== null) throw new Failure(guardFailures.rulingWide, doubt)
}

/** With what else is said of him, because an operator who is here has somebody who can't get in. */
function nobodyBanned(what: string, rulings: readonly GuardRuling[], filed: readonly string[]): Failure {
  const holds = (block: string): boolean => {
    const parsed = parseBlock(block)
    return parsed !== null && isInBlocks(what.split('/')[0] as string, [parsed])
  }
  const wider = rulings.find(({ block }) => holds(block))
  const inFile = filed.find(holds)
  const hint =
    wider !== undefined
      ? ` But ${wider.block}, which holds it, is ${wider.kind === 'ban' ? 'banned' : 'allowed'}: name that block.`
      : inFile !== undefined
        ? ` But ${inFile} stands in the system file, under guard: change it there.`
        : ''
  return new Failure(guardFailures.rulingMissing, `Nobody has banned or allowed '${what}'.${hint}`)
}

function untilText({ untilMs }: GuardRuling): string {
  return untilMs === 0 ? 'until it is taken back' : `until ${new Date(untilMs).toISOString()}`
}

function viewOf(status: EdgeGuardStatus, rulings: readonly GuardRuling[]): GuardView {
  const { bans, ...rest } = status
  return {
    ...rest,
    rulings: rulings.map(rulingView),
    bans: {
      count: bans.count,
      last: bans.last.map(({ untilMs, ...ban }) => ({ ...ban, until: new Date(untilMs).toISOString() })),
    },
  }
}

function rulingView({ untilMs, ...ruling }: GuardRuling): GuardRulingView {
  return { ...ruling, until: untilMs === 0 ? null : new Date(untilMs).toISOString() }
}

function explanationOf({ atMs, ...record }: RequestRecord): GuardExplanationView {
  return { ...record, at: new Date(atMs).toISOString() }
}
