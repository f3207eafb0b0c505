// The probes of test/tools/h2-probes.ts against HAProxy, nginx and Tenfold: `node bench/http2/strictness.ts` writes what
// each of them does into docs/reference/http2-strictness.md, between the marks.

import { join } from 'node:path'
import { isAllowed, probes, runProbe } from '../../test/tools/h2-probes.ts'
import { table, writeBlock } from '../lib/markdown.ts'
import { withOrigin } from '../lib/origin.ts'
import type { Place } from '../lib/peers.ts'
import { endAllProcesses } from '../lib/processes.ts'
import { http2Peers } from './peers.ts'

const page = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'http2-strictness.md')

/** Outcomes side by side, those that RFC 9113 does not allow in bold. */
async function measure(place: Place): Promise<string> {
  const columns: string[] = []
  const rows = probes.map(probe => [probe.name, probe.clause])
  const sums = ['**as RFC 9113 wants**', '']
  for (const peer of http2Peers) {
    const started = await peer.start(place)
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
  return table(['probe', 'clause', ...columns], [...rows, sums])
}

process.once('exit', endAllProcesses)
writeBlock(page, 'probes', await withOrigin(measure))
