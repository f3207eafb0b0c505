// A lottery that anybody can check. Before it, SHA-256 of a seed is published; each person has a code (the same one for all
// tabs and devices of an account); afterwards the seed is published, and the order of the line is that of HMAC-SHA-256 of the
// codes with the seed as key. Knows no hash function: what makes one is handed in.

/** 13 hexadecimal digits: 52 bits, which a number holds exactly. */
export const codeDigits = 13

/** Of late arrivals, who line up behind: their number in order of arrival is added. Above every drawn order. */
export const lateOrder: number = 2 ** 52

/** The first 13 digits of a digest as a number; 0 is kept for "nobody". */
export function numberOfDigest(hex: string): number {
  return Math.max(1, Number.parseInt(hex.slice(0, codeDigits), 16))
}

export function codeText(code: number): string {
  return code.toString(16).padStart(codeDigits, '0')
}

/** Null: it is no code. */
export function codeOfText(text: string): number | null {
  return /^[0-9a-f]{13}$/.test(text) ? Number.parseInt(text, 16) : null
}

export interface LotteryProof {
  /** SHA-256 of the seed's bytes, hexadecimal, as published before. */
  readonly commitment: string
  /** Hexadecimal. */
  readonly seed: string
  /** Codes in the order of the line. */
  readonly codes: readonly string[]
}

export interface LotteryHashes {
  /** SHA-256 of bytes given in hexadecimal, hexadecimal. */
  digest(hex: string): string
  /** HMAC-SHA-256 of a text with a key given in hexadecimal, hexadecimal. */
  keyed(keyHex: string, text: string): string
}

export type LotteryVerdict = { readonly fair: true } | { readonly fair: false; readonly why: string }

/** Does the order follow from the seed, and the seed from what was promised? */
export function verifyLottery(proof: LotteryProof, hashes: LotteryHashes): LotteryVerdict {
  if (!/^(?:[0-9a-f]{2})+$/.test(proof.seed)) return { fair: false, why: 'the seed is not hexadecimal' }
  if (hashes.digest(proof.seed) !== proof.commitment)
    return { fair: false, why: 'SHA-256 of the seed is not what was published before' }
  let before = -1
  const seen = new Set<string>()
  for (const [index, code] of proof.codes.entries()) {
    if (codeOfText(code) === null) return { fair: false, why: `place ${index + 1}: "${code}" is no code` }
    if (seen.has(code)) return { fair: false, why: `place ${index + 1}: ${code} is there twice` }
    seen.add(code)
    const order = numberOfDigest(hashes.keyed(proof.seed, code))
    if (order < before) return { fair: false, why: `place ${index + 1}: ${code} belongs further ahead` }
    before = order
  }
  return { fair: true }
}
