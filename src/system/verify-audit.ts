// The audit log of a system, running or not, held against itself: which file it is says what the edge runs by.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditFilesMax, auditPath } from '../guard/audit/audit-log.ts'
import { type AuditVerdict, verifyLog } from '../guard/audit/read.ts'
import { guardFailures } from '../guard/failures.ts'
import type { GuardSpec } from '../guard/part.ts'
import { Failure } from '../kit/failure.ts'

export async function verifyAuditOf(stateDirectory: string, head?: string): Promise<AuditVerdict> {
  const file = auditPath({ file: fileOf(stateDirectory) }, stateDirectory)
  const verdict = await verifyLog(file, auditFilesMax, head)
  if (verdict.files.length > 0) return verdict
  throw new Failure(guardFailures.auditMissing, `There is no audit log at ${file}.`)
}

function fileOf(stateDirectory: string): string | null {
  try {
    const snapshot = JSON.parse(readFileSync(join(stateDirectory, 'edge', 'snapshot.json'), 'utf8')) as {
      readonly guard?: GuardSpec
    }
    return snapshot.guard?.audit.file ?? null
  } catch {
    return null
  }
}
