// What a room derives from the guard's secret, the same in every edge that has it: the key of its tokens, the key that
// makes a person's code, the seed of its lottery. Nothing of it is stored.

import { createHash, createHmac } from 'node:crypto'
import { codeText, type LotteryHashes, numberOfDigest } from '../../policy/lottery/lottery.ts'
import { deriveKey } from '../keys.ts'

export interface RoomSecrets {
  readonly tokens: Buffer
  readonly people: Buffer
}

export function roomSecrets(secretKey: string, room: string): RoomSecrets {
  return {
    tokens: deriveKey(secretKey, `room tokens ${room}`),
    people: deriveKey(secretKey, `room people ${room}`),
  }
}

/** 52 bits that stand for a person in this room, and are published with its lottery: nobody can tell whom they name. */
export function codeOfPerson(people: Buffer, values: readonly string[]): number {
  const text = values.map(value => `${value.length}:${value}`).join('')
  return numberOfDigest(createHmac('sha256', people).update(text, 'utf8').digest('hex'))
}

/** @param edition the opening, as it was planned when the first place was given: each event has a seed of its own. */
export function lotterySeed(secretKey: string, room: string, edition: number): Buffer {
  return deriveKey(secretKey, `room lottery ${room} ${edition}`)
}

export function commitmentOf(seed: Buffer): string {
  return createHash('sha256').update(seed).digest('hex')
}

/** Where a code stands in the lottery: small is early. */
export function drawOf(seed: Buffer, code: number): number {
  return numberOfDigest(createHmac('sha256', seed).update(codeText(code), 'utf8').digest('hex'))
}

/** For `verifyLottery`. */
export const lotteryHashes: LotteryHashes = {
  digest: hex => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex'),
  keyed: (keyHex, text) =>
    createHmac('sha256', Buffer.from(keyHex, 'hex')).update(text, 'utf8').digest('hex'),
}
