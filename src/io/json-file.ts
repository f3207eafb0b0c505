// A JSON file, read whole.

import { readFileSync } from 'node:fs'

/** Throws what the system or the parser says. */
export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T
}
