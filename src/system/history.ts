// The last systems that were applied with success, for rollback. Owns STATE/snapshots: one file a system, the newest ten,
// numbered for good. Secrets are references in them, as in every checked system.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CheckedSystem } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import type { HistoryView } from './control/views.ts'
import { systemFailures } from './failures.ts'
import { removeIfPossible, writePrivate } from './private-file.ts'

const entriesMax = 10

export interface HistoryRecord {
  readonly format: 1
  readonly number: number
  readonly at: string
  readonly text: string
  readonly system: CheckedSystem
}

export interface History {
  /** Writes the system down unless it is the one that was applied last. */
  record(system: CheckedSystem, text: string): void
  /** What was applied last. */
  newest(): HistoryRecord | null
  /** Newest first. */
  view(): HistoryView
  /** The named one, or the one before the newest. Throws SYSTEM_HISTORY_UNKNOWN. */
  find(number: number | null): HistoryRecord
}

/** `onTrouble`: an entry could not be written; it is kept in memory, so this run can still go back to it. */
export function openHistory(folder: string, onTrouble: (cause: Error) => void): History {
  let records = readAll(folder)
  return {
    record: (system, text) => {
      const newest = records.at(-1)
      if (newest !== undefined && JSON.stringify(newest.system) === JSON.stringify(system)) return
      const number = (newest?.number ?? 0) + 1
      const entry: HistoryRecord = { format: 1, number, at: new Date().toISOString(), text, system }
      records = [...records, entry]
      try {
        writePrivate(fileOf(folder, number), `${JSON.stringify(entry)}\n`)
      } catch (cause) {
        onTrouble(cause as Error)
      }
      for (const old of records.slice(0, -entriesMax)) removeIfPossible(fileOf(folder, old.number))
      records = records.slice(-entriesMax)
    },
    newest: () => records.at(-1) ?? null,
    view: () => ({
      entries: records.toReversed().map((entry, index) => ({
        number: entry.number,
        at: entry.at,
        text: entry.text,
        current: index === 0,
        services: Object.keys(entry.system.services),
      })),
    }),
    find: number => {
      const found = number === null ? records.at(-2) : records.find(entry => entry.number === number)
      if (found !== undefined) return found
      const there = records.map(entry => entry.number).join(', ')
      const sentence =
        number === null
          ? 'There is no earlier system to go back to.'
          : `The history has no number ${number}; it has ${there}.`
      throw new Failure(systemFailures.historyUnknown, sentence)
    },
  }
}

const fileOf = (folder: string, number: number): string => join(folder, `${number}.json`)

/** Those of before there were databases, caches, or rehearsals, have none. */
function upToDate(entry: HistoryRecord): HistoryRecord {
  const { databases = {}, caches = {}, rehearsals = {} } = entry.system
  const named = Object.entries(databases).map(
    ([name, one]) =>
      [name, { ...one, invalidate: one.invalidate ?? [], cacheQueries: one.cacheQueries ?? null }] as const,
  )
  return { ...entry, system: { ...entry.system, databases: Object.fromEntries(named), caches, rehearsals } }
}

/** Oldest first. What cannot be read is left out: a rollback to it would not be one. */
function readAll(folder: string): HistoryRecord[] {
  return readdirSync(folder)
    .filter(name => /^\d+\.json$/.test(name))
    .flatMap(name => {
      try {
        const entry = JSON.parse(readFileSync(join(folder, name), 'utf8')) as HistoryRecord
        return entry.format === 1 ? [upToDate(entry)] : []
      } catch {
        return []
      }
    })
    .sort((a, b) => a.number - b.number)
}
