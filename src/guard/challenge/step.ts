// The step of policies that challenge: who has passed lately goes on, and so does who gives no reason to be asked. Others
// get the challenge: people a page, programs a JSON answer that says how to pass. Instances are told which it was.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { fieldId } from '../../wire/fields.ts'
import { clientBinding } from '../binding.ts'
import { noteChallenge } from '../bots/deeds.ts'
import { addEdits } from '../edits.ts'
import type { GuardStep } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import { refererTarget, safeTarget } from '../targets.ts'
import type { GuardVisit } from '../visit.ts'
import { answerJson, challengeField, wantsPage } from './answers.ts'
import { type Clearance, type ClearanceFailure, clearanceField, riskSlack } from './clearance.ts'
import type { Desk } from './desk.ts'
import { challengeRefusals } from './failures.ts'
import { humanField, writeHuman } from './human-header.ts'
import { challengePath } from './page-text.ts'
import { type PageState, writePageState } from './page-token.ts'
import { renderChallenge } from './render.ts'

export function challengeStep(desk: Desk, policy: CheckedGuardPolicy): GuardStep {
  const always = policy.challenge === 'always'
  const scored = policy.risk !== undefined
  const detectOnly = policy.detectOnly.includes('challenge')
  return {
    name: 'challenge',
    enter: (passage, visit) => {
      const found = desk.clearanceOf(passage, visit)
      const cleared = typeof found !== 'string' && visit.risk <= found.risk + riskSlack
      visit.cleared = cleared
      if (cleared) desk.noticeUse(passage, visit, found as Clearance)
      if (!cleared && !visit.allowed && (always || visit.wantsChallenge)) {
        const why = typeof found === 'string' ? found : 'risk'
        const answer = visit.refuse(finding(why, visit, always), challengeRefusals.required, detectOnly)
        if (answer === verdict.refuse) {
          noteChallenge(passage, visit, 'asked')
          present(desk, passage, visit)
          return verdict.taken
        }
      }
      tellInstance(desk, passage, visit, cleared ? (found as Clearance) : null, scored)
      return verdict.pass
    },
  }
}

const reasons: Readonly<Record<ClearanceFailure, string>> = {
  none: 'The client has passed no challenge lately.',
  forged: 'What the client shows as a clearance is not ours, or too old.',
  'other-client': 'The clearance is of another client: address block, browser or TLS library differ.',
  'other-account': 'The clearance was got by another account.',
  risk: 'The risk has grown since the challenge was passed.',
  revoked: 'The clearance was used up, or its account was banned since.',
}

function finding(
  why: ClearanceFailure,
  visit: GuardVisit,
  always: boolean,
): Parameters<GuardVisit['refuse']>[0] {
  const asked = always ? 'Everybody is asked here.' : `Risk ${visit.risk}: ${visit.riskReasons.join(', ')}.`
  return {
    step: 'challenge',
    rule: `challenge:${why}`,
    text: `${reasons[why]} ${asked}`,
    would: 'The same request with the cookie that a passed challenge gives.',
  }
}

/** Whatever a client sent under these names is dropped. */
function tellInstance(
  desk: Desk,
  passage: Passage,
  visit: GuardVisit,
  clearance: Clearance | null,
  scored: boolean,
): void {
  const { head } = passage
  const token = writeHuman(
    desk.keys.human,
    {
      human: clearance !== null,
      by: clearance?.by ?? '',
      risk: scored ? visit.risk : -1,
      cid: clearance?.id ?? '',
      cexp: clearance === null ? 0 : Math.floor(clearance.expiresAtMs / 1_000),
      client: clientBinding(passage),
      method: head.method,
      host: head.authority.toLowerCase(),
      path: passage.path,
      rid: passage.requestId,
    },
    desk.nowMs,
  )
  addEdits(passage, [humanField, clearanceField], `Tenfold-Human: ${token}\r\n`)
}

function present(desk: Desk, passage: Passage, visit: GuardVisit): void {
  const { head } = passage
  const asks = head.method === 'GET' || head.method === 'HEAD'
  const to = asks ? safeTarget(passage.target) : refererTarget(head.value(fieldId.referer), head.authority)
  const state: PageState = { to, form: !asks, risk: visit.risk, requestId: passage.requestId }
  if (wantsPage(passage)) {
    renderChallenge(desk, passage, state, { status: 403, notice: null, proof: false })
    return
  }
  answerJson(passage, 403, wayToPass(desk, passage, state), `${challengeField}: ${desk.spec.provider}\r\n`)
}

/** For programs: where to get a challenge, where to answer it, and the page for people. */
function wayToPass(desk: Desk, passage: Passage, state: PageState): object {
  const { status, code, text } = challengeRefusals.required
  const token = writePageState(desk.keys, passage, state, desk.nowMs)
  return {
    error: { status, code, message: text, requestId: passage.requestId },
    challenge: {
      kind: desk.spec.provider,
      url: `${challengePath}new?s=${token}`,
      answer: {
        method: 'POST',
        url: `${challengePath}pass`,
        fields: { s: token, altcha: 'base64 of {challenge, solution}' },
      },
      page: `${challengePath}page?s=${token}`,
    },
  }
}
