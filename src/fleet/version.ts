// Which changes of a service need new processes: its version says so. Everything else is taken over while they run.

import { createHash } from 'node:crypto'
import type { ProcessSpec } from './contract.ts'

/** 16 hex digits over what a process is started with. Secret values go in, and cannot be read out of it. */
export function specVersion(spec: Pick<ProcessSpec, 'command' | 'directory' | 'env' | 'user'>): string {
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify([spec.command, spec.directory, env, spec.user ?? null])
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
