// Whether this edge stands down: it serves, but whoever asks its health listeners sends traffic elsewhere. Owns
// STATE/standdown.json, so that it lasts over restarts of the supervisor until somebody ends it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StandDownView } from './control/views.ts'
import { removeIfPossible, writePrivate } from './private-file.ts'

export interface StandDown {
  readonly current: StandDownView | null
  begin(reason: string): void
  end(): void
}

export function openStandDown(stateDirectory: string): StandDown {
  const file = join(stateDirectory, 'standdown.json')
  let current = readStandDown(file)
  return {
    get current() {
      return current
    },
    begin: reason => {
      const next = { at: new Date().toISOString(), reason }
      writePrivate(file, `${JSON.stringify(next)}\n`)
      current = next
    },
    end: () => {
      removeIfPossible(file)
      current = null
    },
  }
}

function readStandDown(file: string): StandDownView | null {
  try {
    const { at, reason } = JSON.parse(readFileSync(file, 'utf8')) as StandDownView
    return { at: new Date(at).toISOString(), reason: String(reason) }
  } catch {
    return null
  }
}
