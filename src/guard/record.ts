// What is kept of a request that was refused or would have been: enough to explain it, nothing that must not be kept. No
// cookies, no credentials, no bodies, and of the query only the names of its parameters.

import type { Clock } from '../kit/clock.ts'
import type { RequestRecord } from './messages.ts'
import type { Passage } from './passage.ts'
import { shortText } from './redact.ts'
import type { RequestVisit } from './request-visit.ts'

export function recordOf(visit: RequestVisit, passage: Passage, clock: Clock): RequestRecord {
  const refused = visit.refusedBy !== null
  return {
    id: passage.requestId,
    atMs: Math.round(clock.wall() / 1000),
    policy: visit.policy,
    route: visit.route.id,
    method: shortText(passage.head.method, 32),
    host: shortText(passage.head.authority, 255),
    path: pathAndNames(passage),
    address: shortText(visit.address, 64),
    account: shortText(visit.account, 128),
    session: visit.session,
    key: visit.key,
    outcome: refused ? 'refused' : 'detected',
    status: visit.refusal?.status ?? passage.status,
    code: visit.refusal?.code ?? '',
    risk: visit.risk,
    riskReasons: visit.riskReasons.map(reason => shortText(reason, 128)),
    findings: visit.findings.map(finding => ({
      step: finding.step,
      rule: shortText(finding.rule, 128),
      text: shortText(finding.text, 512),
      ...(finding.would === undefined ? {} : { would: shortText(finding.would, 512) }),
      detected: finding.detected,
    })),
  }
}

const namesMax = 32

/** `/a/b?token&page`: values are not kept. */
function pathAndNames({ path, target }: Passage): string {
  const mark = target.indexOf('?')
  if (mark < 0) return shortText(path, 1_024)
  const names = target
    .slice(mark + 1)
    .split('&', namesMax)
    .map(part => part.split('=', 1)[0] as string)
  return `${shortText(path, 1_024)}?${shortText(names.join('&'), 512)}`
}
