// The probes of test/tools/h2-probes.ts against HAProxy, nginx and Tenfold: `node bench/http2/strictness.ts` writes what
// each of them does into docs/reference/http2-strictness.md, between the marks.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAllowed, probes, runProbe } from '../../test/tools/h2-probes.ts'
import { startOrigin } from '../edge/origin.ts'
import { table, writeBlock } from '../lib/markdown.ts'
import { end, endAllProcesses } from '../lib/processes.ts'
import { http2Peers } from './peers.ts'

const page = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'http2-strictness.md')

/** Outcomes side by side, those that RFC 9113 does not allow in bold. */
async function measure(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-strictness-'))
  chmodSync(folder, 0o755)
  const origin = await startOrigin(folder, 0)
  const columns: string[] = []
  const rows = probes.map(probe => [probe.name, probe.clause])
  const sums = ['**as RFC 9113 wants**', '']
  try {
    for (const peer of http2Peers) {
      const started = await peer.start({ folder, core: 1, originPort: origin.port })
      let right = 0
      for (const [index, probe] of probes.entries()) {
        const outcome = await runProbe(started.port, probe)
        // The origin of this run has nothing at `/`: that it was asked is what counts.
        const asked = outcome.replace('STATUS 403', 'STATUS 200')
        const allowed = isAllowed(probe, asked)
        if (allowed) right++
        rows[index]?.push(allowed ? asked : `**${asked}**`)
      }
      sums.push(`${right} of ${probes.length}`)
      columns.push(`${peer.name} ${peer.version()}`)
      await started.stop()
    }
  } finally {
    await end(origin.running)
    rmSync(folder, { recursive: true, force: true })
  }
  return table(['probe', 'clause', ...columns], [...rows, sums])
}

process.once('exit', endAllProcesses)
writeBlock(page, 'probes', await measure())
