// What the guard itself tells people, clients and operators; its parts have failures of their own beside them.

import { type Catalogue, defineFailures } from '../kit/failure.ts'
import type { PassageRefusal } from './passage.ts'

// Of the parts, for the reference page.
export { challengeFailures } from './challenge/failures.ts'
export { identityFailures } from './identity/failures.ts'

export const guardFailures: Catalogue<
  | 'rulingInvalid'
  | 'rulingWide'
  | 'rulingMissing'
  | 'rulingsFull'
  | 'auditFile'
  | 'auditMissing'
  | 'requestUnknown'
> = defineFailures('guard', {
  rulingInvalid: {
    when: 'A ban or an allowance names what is neither an address nor a CIDR block, or lasts for no time.',
    advice:
      'Give one address (192.0.2.7, 2001:db8::1) or a block (192.0.2.0/24), and a time such as 10m, 1h or 7d.',
    status: 400,
  },
  rulingWide: {
    when: 'A ban or an allowance by command would reach more than one should: a block wider than /8 (IPv6: /32), this host itself, a trusted proxy, or the operator.',
    advice: 'Name a smaller block; if it is meant, say it again with --yes.',
    status: 409,
  },
  rulingMissing: {
    when: '`tenfold guard unban` names somebody who is neither banned nor allowed.',
    advice:
      '`tenfold guard` shows who is, as unban wants it: the very block, or the address, account, session or key.',
    status: 409,
  },
  rulingsFull: {
    when: 'There are as many bans and allowances by command as can be kept.',
    advice: 'End some with `tenfold guard unban`, or put one block in place of many addresses.',
    status: 409,
  },
  auditFile: {
    when: "The guard's audit log can't be opened.",
    advice:
      'Let the user that Tenfold runs as write to that folder, or name another file in guard.audit.file.',
  },
  requestUnknown: {
    when: 'Somebody asks why a request was refused, and nothing is known of one with that id.',
    advice:
      'The id stands on the page and in X-Request-Id of the answer. What passed is not kept, nor what `guard.audit.sample` left out.',
    status: 404,
  },
  auditMissing: {
    when: 'There is no audit log to be verified.',
    advice: 'Nothing was refused yet, or guard.audit.file names another file.',
    status: 404,
  },
})

/** To clients. */
export const guardRefusals: Readonly<Record<'banned' | 'fault', PassageRefusal>> = {
  banned: {
    code: 'GUARD_BANNED',
    status: 403,
    text: 'Requests from here are not accepted at the moment. If you think that this is a mistake, tell us the request id below.',
  },
  fault: {
    code: 'GUARD_FAULT',
    status: 503,
    text: 'Whether this may pass could not be decided. If it happens again, tell us the request id below.',
  },
}
