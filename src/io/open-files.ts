// How many files (so also sockets) this process may have open. Read once; it never raises the limit.

import { readFileSync } from 'node:fs'

/** The soft limit, or Infinity where there is none or it can't be told. */
export function openFilesMax(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Infinity : Number(soft)
  } catch {
    const report = process.report?.getReport() as unknown as ReportedLimits | undefined
    const soft = report?.userLimits?.open_files?.soft
    return typeof soft === 'number' ? soft : Infinity
  }
}

interface ReportedLimits {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | 'unlimited' } }
}
