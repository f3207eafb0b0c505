// A text file, read whole.

import { readFileSync } from 'node:fs'

/** Throws what the system says. */
export function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
