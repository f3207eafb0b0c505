// Whether the system is under maintenance, and what clients are told meanwhile. Owns STATE/maintenance.json, so that it
// lasts over restarts of the supervisor until somebody ends it. What the command leaves open the file says
// (`edge.maintenance`).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EdgeSwitches } from './compile-edge.ts'
import type { MaintenanceView } from './control/views.ts'
import { removeIfPossible, writePrivate } from './private-file.ts'

export type MaintenanceWish = NonNullable<EdgeSwitches['maintenance']>

interface Kept {
  readonly at: string
  readonly wish: MaintenanceWish
}

export interface Maintenance {
  /** What the snapshot gets; null: no maintenance. */
  readonly wish: MaintenanceWish | null
  readonly view: MaintenanceView | null
  /** Begins, or changes what clients are told. */
  begin(wish: MaintenanceWish): void
  end(): void
}

export function openMaintenance(stateDirectory: string): Maintenance {
  const file = join(stateDirectory, 'maintenance.json')
  let current = readKept(file)
  return {
    get wish() {
      return current?.wish ?? null
    },
    get view() {
      return current === null ? null : viewOf(current)
    },
    begin: wish => {
      const next = { at: current?.at ?? new Date().toISOString(), wish }
      writePrivate(file, `${JSON.stringify(next)}\n`)
      current = next
    },
    end: () => {
      removeIfPossible(file)
      current = null
    },
  }
}

function viewOf({ at, wish }: Kept): MaintenanceView {
  return { at, allow: wish.allow ?? null, retryAfterSeconds: wish.retryAfterSeconds ?? null }
}

function readKept(file: string): Kept | null {
  try {
    const { at, wish } = JSON.parse(readFileSync(file, 'utf8')) as Kept
    return { at: new Date(at).toISOString(), wish: { ...wish } }
  } catch {
    return null
  }
}
