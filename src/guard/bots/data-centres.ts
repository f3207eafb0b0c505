// Addresses of data centres, from the operator's lists: one address or CIDR block a line.

import { readText } from '../../io/text-file.ts'
import { Failure } from '../../kit/failure.ts'
import { parseBlock } from '../../policy/address.ts'
import { BlockMap } from '../rulings/blocks.ts'
import { botFailures } from './failures.ts'

const blocksMax = 200_000

export function readDataCentres(files: readonly string[]): BlockMap<true> {
  const blocks: [string, true][] = []
  for (const file of files)
    for (const [at, line] of linesOf(file).entries()) {
      const text = (line.split('#', 1)[0] as string).trim()
      if (text === '') continue
      if (parseBlock(text) === null || blocks.length >= blocksMax)
        throw new Failure(botFailures.dataCentreFile, `${file}, line ${at + 1}: '${text.slice(0, 60)}'`)
      blocks.push([text, true])
    }
  return new BlockMap(blocks)
}

function linesOf(file: string): string[] {
  try {
    return readText(file).split(/\r?\n/)
  } catch (error) {
    throw new Failure(botFailures.dataCentreFile, `${file}: ${(error as Error).message}`)
  }
}
