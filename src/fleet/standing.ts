// How a service stands, for people and for the front: rows of its status, entries of its member list. Reads slots and
// lives, changes nothing.

import type { Clock } from '../kit/clock.ts'
import type { FleetMember, InstanceStatus, ProcessSpec, ServiceStatus } from './contract.ts'
import type { Life } from './life.ts'
import type { Slot } from './slot.ts'
import { timeText } from './words.ts'

export function memberOf(slot: Slot, spec: ProcessSpec, host: string): FleetMember | null {
  const life = slot.published
  if (life === null) return null
  const draining = slot.drained || life.state === 'draining'
  return {
    id: slot.member,
    epoch: life.nonce,
    host,
    port: life.port,
    weight: spec.weights[slot.member] ?? 1,
    tier: 0,
    state: draining ? 'draining' : 'active',
    ...(spec.utilisationPublished && life.usage ? { utilisation: life.usage.utilisation } : {}),
  }
}

type RowContext = {
  readonly clock: Clock
  readonly host: string
  logFile(service: string, member: string): string
}

/** One row for who serves or is to serve, one more for a follower, and one for each that leaves. */
export function instanceRows(slot: Slot, service: string, context: RowContext): InstanceStatus[] {
  const row = (life: Life, state: InstanceStatus['state']): InstanceStatus => ({
    ...lifeRow(life, context.host),
    state,
    restarts: slot.restarts,
  })
  const rows: InstanceStatus[] = []
  if (slot.serving) rows.push(row(slot.serving, slot.drained ? 'drained' : 'ready'))
  if (slot.candidate) rows.push(row(slot.candidate, slot.serving ? 'replacing' : 'starting'))
  else if (slot.gaveUp || slot.wakeAtUs !== null) rows.push(emptyRow(slot, service, context))
  for (const life of slot.leaving) rows.push(row(life, life.state === 'draining' ? 'draining' : 'stopping'))
  return rows
}

function lifeRow(life: Life, host: string): Omit<InstanceStatus, 'state' | 'restarts'> {
  return {
    id: life.place.member,
    epoch: life.nonce,
    reason: life.replaceWhy && life.state === 'ready' ? life.replaceWhy : life.reason,
    pid: life.pid,
    host,
    port: life.port,
    version: life.version,
    startedAtMs: life.startedAtMs,
    adopted: life.adopted,
    cpuPercent: life.usage?.cpuPercent ?? null,
    rssBytes: life.usage?.rssBytes ?? null,
    utilisation: life.usage?.utilisation ?? null,
    logFile: life.logFile,
  }
}

function emptyRow(slot: Slot, service: string, context: RowContext): InstanceStatus {
  const waitUs = Math.max(0, (slot.wakeAtUs ?? 0) - context.clock.monotonic())
  const waiting = `${slot.waitReason} (starts in ${timeText(waitUs)})`
  return {
    id: slot.member,
    epoch: '',
    state: slot.gaveUp ? 'failed' : 'waiting',
    reason: slot.gaveUp?.message ?? waiting,
    pid: null,
    host: context.host,
    port: 0,
    version: '',
    startedAtMs: null,
    restarts: slot.restarts,
    adopted: false,
    cpuPercent: null,
    rssBytes: null,
    utilisation: null,
    logFile: context.logFile(service, slot.member),
  }
}

export interface Standing {
  readonly state: ServiceStatus['state']
  readonly reason: string
  readonly ready: number
}

export interface StandingInputs {
  readonly wanted: number
  readonly stopping: boolean
  /** Something was asked for and is not done yet. */
  readonly busy: boolean
  /** All that was wanted was ready once. */
  readonly started: boolean
}

export function standingOf(slots: readonly Slot[], inputs: StandingInputs): Standing {
  const ready = slots.filter(slot => slot.serving).length
  const failed = slots.filter(slot => slot.gaveUp && !slot.serving)
  const { wanted } = inputs
  const count = `${ready} of ${wanted} ready`
  const row = (state: ServiceStatus['state'], reason: string): Standing => ({ state, reason, ready })
  if (inputs.stopping) return row('stopping', `${slots.length} members still there`)
  if (ready === 0 && wanted > 0 && failed.length > 0)
    return row('failed', failed[0]?.gaveUp?.message ?? count)
  if (inputs.busy && !inputs.started) return row('starting', count)
  if (inputs.busy || slots.some(slot => slot.leaving.size > 0 && slot.serving)) return row('rolling', count)
  if (ready < wanted) return row('degraded', failed.length > 0 ? `${count}, ${failed.length} failed` : count)
  return row('ready', count)
}
