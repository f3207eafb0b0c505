// The way of who can't compute: no scripts, no HTTPS, an old browser. A ticket says from when on it is good; shown then, once,
// it clears like a solved sum, for a shorter time. Waiting costs a bot nothing but time, so an address gets few of these and
// all of them together keep a pace; who comes too often waits longer, and is never sent away.

import type { Passage } from '../passage.ts'
import { queryValue } from '../sources.ts'
import type { GuardVisit } from '../visit.ts'
import { answerRefusal, challengeField, redirect, wantsPage } from './answers.ts'
import type { Desk } from './desk.ts'
import { challengeRefusals } from './failures.ts'
import { challengePath } from './page-text.ts'
import { readTicket, type WaitTicket, writePageState, writeTicket } from './page-token.ts'
import { renderNotice } from './render.ts'

/** Passes of one address in ten minutes. */
const passesPerAddress = 3
const addressWindowMs = 600_000
/** Passes of all addresses in ten seconds, by this edge. */
const passesTogether = 20
const togetherWindowMs = 10_000
const busyWaitMsMax = 60_000

export async function waitPage(desk: Desk, passage: Passage, visit: GuardVisit): Promise<() => void> {
  const { keys, nowMs } = desk
  const { serial } = passage
  const text = queryValue(passage.target, 't') ?? ''
  const ticket = readTicket(keys, passage, text, nowMs)
  if (ticket === null || !desk.spent.isFresh('wait', ticket.id, ticket.expiresAtMs))
    return () => old(desk, passage)
  if (nowMs < ticket.fromMs) {
    desk.count('failed:too-early')
    return () => waiting(desk, passage, 'waiting', text, ticket.fromMs - nowMs)
  }
  if (!ticket.paid) {
    const freeInMs = await addressBudget(desk, visit.addressKey)
    // Another ticket, good when there may be room: nobody has to begin anew.
    if (serial !== passage.serial) return () => {}
    if (freeInMs > 0) return busy(desk, passage, ticket, Math.min(busyWaitMsMax, freeInMs), false)
  }
  if (!(await desk.spent.spend('wait', ticket.id, ticket.expiresAtMs, nowMs))) {
    desk.count('failed:spent')
    return () => old(desk, passage)
  }
  // The client may have gone, and the object may carry another one's request.
  if (serial !== passage.serial) return () => {}
  const freeInMs = paceOfAll(desk)
  return freeInMs > 0 ? busy(desk, passage, ticket, freeInMs, true) : passed(desk, passage, visit, ticket)
}

function busy(desk: Desk, passage: Passage, ticket: WaitTicket, waitMs: number, paid: boolean): () => void {
  desk.count('failed:over-budget')
  const next = writeTicket(desk.keys, passage, ticket, desk.nowMs + waitMs, paid)
  return () => waiting(desk, passage, 'busy', next, waitMs)
}

/** 0: one of the address' passes was taken. Else milliseconds until there are new ones. */
async function addressBudget({ nowMs, spent }: Desk, address: string): Promise<number> {
  const window = Math.floor(nowMs / addressWindowMs)
  const ends = (window + 1) * addressWindowMs
  for (let i = 0; i < passesPerAddress; i++)
    if (await spent.spend('wait-address', `${address} ${window} ${i}`, ends, nowMs)) return 0
  return Math.max(1_000, ends - nowMs)
}

function paceOfAll({ nowMs, spent }: Desk): number {
  const window = Math.floor(nowMs / togetherWindowMs)
  const ends = (window + 1) * togetherWindowMs
  for (let i = 0; i < passesTogether; i++)
    if (spent.spendHere('wait-together', `${window} ${i}`, ends, nowMs)) return 0
  return Math.max(1_000, ends - nowMs)
}

function passed(desk: Desk, passage: Passage, visit: GuardVisit, ticket: WaitTicket): () => void {
  const { cookie } = desk.clear(passage, visit, 'wait', ticket.risk)
  const url = `${challengePath}done?s=${writePageState(desk.keys, passage, ticket, desk.nowMs)}`
  return () => redirect(passage, url, cookie)
}

function waiting(
  desk: Desk,
  passage: Passage,
  notice: 'waiting' | 'busy',
  ticket: string,
  waitMs: number,
): void {
  const waitSeconds = Math.ceil(waitMs / 1_000) + 1
  const url = `${challengePath}wait?t=${ticket}`
  const fields = `${challengeField}: wait\r\nRetry-After: ${waitSeconds}\r\n`
  renderNotice(desk, passage, 403, { notice, waitSeconds, url, link: 'go' }, fields)
}

function old(desk: Desk, passage: Passage): void {
  if (!wantsPage(passage)) answerRefusal(passage, challengeRefusals.old)
  else renderNotice(desk, passage, 403, { notice: 'old', waitSeconds: 0, url: '/', link: 'again' })
}
