// What the state directory remembers of each life, so that the next supervisor can take it back: `fleet/MEMBER.NONCE.json`.
// Written before the process is started (without a pid) and after each change of its state; removed when nothing of it
// is left.

import { join } from 'node:path'
import type { LifeIdentity } from '../io/process.ts'
import { nonceVariable, processesWithNonce } from '../io/process.ts'
import { processes } from '../io/process-table.ts'
import { RecordFolder } from '../io/record-file.ts'

const recordFormat = 1

export interface LifeRecord {
  readonly service: string
  readonly slot: number
  readonly member: string
  readonly nonce: string
  readonly host: string
  readonly port: number
  /** Null while the process is being started. */
  readonly pid: number | null
  readonly startedAt: string | null
  /** Wall clock. */
  readonly startedAtMs: number
  readonly version: string
  readonly state: 'starting' | 'ready' | 'draining' | 'stopping'
  readonly stop: {
    readonly signal: NodeJS.Signals
    readonly timeoutMs: number
    readonly drainTimeoutMs: number
  }
}

/** What became of the process of a record. */
export type RecordFate =
  | { readonly kind: 'alive'; readonly identity: LifeIdentity }
  /** Its first process is gone, or was never written down, but others that carry its nonce run. */
  | { readonly kind: 'remains'; readonly identity: LifeIdentity; readonly why: string }
  | { readonly kind: 'gone'; readonly why: string }

export class Records {
  readonly #folder: RecordFolder
  readonly #bootId = processes.bootId()

  constructor(stateDirectory: string) {
    this.#folder = new RecordFolder(join(stateDirectory, 'fleet'))
  }

  write(record: LifeRecord): void {
    this.#folder.write(nameOf(record), { format: recordFormat, bootId: this.#bootId, ...record })
  }

  remove(record: Pick<LifeRecord, 'member' | 'nonce'>): void {
    this.#folder.remove(nameOf(record))
  }

  /** Every record that can be read, and what became of its process. Those that can't be read are removed. */
  read(): { readonly record: LifeRecord; readonly fate: RecordFate }[] {
    return this.#folder.list().flatMap(({ name, value }) => {
      if (isRecord(value)) return { record: value, fate: fateOf(value, value.bootId === this.#bootId) }
      this.#folder.remove(name)
      return []
    })
  }
}

function nameOf(record: Pick<LifeRecord, 'member' | 'nonce'>): string {
  return `${record.member}.${record.nonce}`
}

function isRecord(value: unknown): value is LifeRecord & { readonly bootId: string } {
  const record = value as Partial<LifeRecord & { format: number; bootId: string }> | null | undefined
  return (
    typeof record === 'object' &&
    record !== null &&
    record.format === recordFormat &&
    typeof record.bootId === 'string' &&
    typeof record.service === 'string' &&
    typeof record.member === 'string' &&
    typeof record.nonce === 'string' &&
    Number.isInteger(record.slot) &&
    Number.isInteger(record.port) &&
    typeof record.stop === 'object'
  )
}

function fateOf(record: LifeRecord, sameBoot: boolean): RecordFate {
  if (!sameBoot) return { kind: 'gone', why: 'the machine was restarted since' }
  const { pid, startedAt, nonce } = record
  const row = pid === null ? null : processes.row(pid)
  if (pid === null || startedAt === null)
    return remainsOf(nonce, 'it was being started when the supervisor died')
  if (row === null || row.zombie) return remainsOf(nonce, `process ${pid} has ended`)
  if (row.startedAt !== startedAt) return remainsOf(nonce, `pid ${pid} belongs to another process by now`)
  // Null: not ours to read, or the program wrote over it; pid, start time and boot have said enough then.
  const carried = processes.environmentValue(pid, nonceVariable)
  if (carried !== null && carried !== nonce)
    return { kind: 'gone', why: `process ${pid} carries another nonce` }
  return { kind: 'alive', identity: { pid, startedAt, nonce } }
}

function remainsOf(nonce: string, why: string): RecordFate {
  const first = processesWithNonce(nonce)[0]
  if (first === undefined) return { kind: 'gone', why }
  return { kind: 'remains', why, identity: { pid: first.pid, startedAt: first.startedAt, nonce } }
}
