// What services of this system ask: is this proof, which came with a form of mine, good, and for the client that I was told
// of? Or: use this clearance up. They sign with the key that Tenfold gives them; others learn nothing here.

import { fieldId } from '../../wire/fields.ts'
import type { Passage } from '../passage.ts'
import { answerJson, answerRefusal } from './answers.ts'
import type { Desk } from './desk.ts'
import { challengeRefusals } from './failures.ts'
import { askAudience, digestOf, type HumanClaims, readHuman, readJwt } from './human-header.ts'
import { checkProof } from './proof.ts'

interface Question {
  /** `Tenfold-Human` of the request that the form came with. */
  readonly human: string
  readonly action: string
  readonly altcha?: string
  readonly turnstile?: string
  /** Uses the clearance up: the next purchase needs another challenge. */
  readonly once?: boolean
}

interface ServiceAnswer {
  readonly human: boolean
  readonly by: string
  readonly reason: string
  readonly risk: number
}

/** Documented life of a Turnstile token, and a minute. */
const turnstileLifeMs = 360_000

export async function ask(desk: Desk, passage: Passage, body: string): Promise<() => void> {
  const bearer = /^Bearer ([\w.-]{1,2048})$/.exec(passage.head.value(fieldId.authorization) ?? '')
  const claims =
    bearer === null ? null : readJwt(desk.keys.human, bearer[1] as string, askAudience, desk.nowMs)
  if (claims === null || claims.digest !== digestOf(body))
    return () => answerRefusal(passage, challengeRefusals.notAllowed)
  const question = readQuestion(body)
  if (question === null) return () => answerRefusal(passage, challengeRefusals.malformed)
  desk.count('asked-by-app')
  const answer = await judge(desk, question)
  return () => answerJson(passage, 200, answer)
}

async function judge(desk: Desk, question: Question): Promise<ServiceAnswer> {
  const told = readHuman(desk.keys.human, question.human, desk.nowMs)
  if (told === null) return no('no-statement', -1)
  if (question.turnstile !== undefined) return await byTurnstile(desk, question, told)
  if (question.altcha !== undefined) return await byProof(desk, question, told)
  if (!told.human) return no('not-cleared', told.risk)
  if (question.once !== true) return yes(told.by, told.risk)
  const used = await desk.spent.spend('clearance', told.cid, told.cexp * 1_000, desk.nowMs)
  return used ? yes(told.by, told.risk) : no('spent', told.risk)
}

async function byProof(desk: Desk, question: Question, told: HumanClaims): Promise<ServiceAnswer> {
  const wanted = { client: told.client, action: question.action, host: told.host, maker: desk.maker }
  const checked = await checkProof(desk.keys, question.altcha as string, wanted, desk.nowMs)
  if (typeof checked === 'string') {
    desk.count(`failed:${checked}`)
    return no(checked, told.risk)
  }
  const first = await desk.spent.spend('proof', checked.id, checked.expiresAtMs, desk.nowMs)
  if (!first) desk.count('failed:spent')
  return first ? yes('pow', told.risk) : no('spent', told.risk)
}

async function byTurnstile(desk: Desk, question: Question, told: HumanClaims): Promise<ServiceAnswer> {
  const token = question.turnstile as string
  if (desk.turnstile === null) return no('no-turnstile', told.risk)
  const result = await desk.turnstile.verify(token, question.action, '', desk.nowMs)
  if (!result.verified) {
    desk.count(result.away ? 'failed:turnstile-away' : 'failed:turnstile')
    return no(result.reason, told.risk)
  }
  const first = await desk.spent.spend('turnstile', token, result.issuedAtMs + turnstileLifeMs, desk.nowMs)
  if (!first) desk.count('failed:spent')
  return first ? yes('turnstile', told.risk) : no('spent', told.risk)
}

const yes = (by: string, risk: number): ServiceAnswer => ({ human: true, by, reason: 'passed', risk })
const no = (reason: string, risk: number): ServiceAnswer => ({ human: false, by: '', reason, risk })

function readQuestion(body: string): Question | null {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { human, action, altcha, turnstile, once } = value as Record<string, unknown>
  const texts = [human, action].every(text => typeof text === 'string')
  const optional = [altcha, turnstile].every(text => text === undefined || typeof text === 'string')
  const flag = once === undefined || typeof once === 'boolean'
  return texts && optional && flag ? (value as Question) : null
}
