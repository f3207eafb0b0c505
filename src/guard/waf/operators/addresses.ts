// Lists of addresses and blocks.

import { type AddressBlock, isInBlocks, parseBlock } from '../../../policy/address.ts'
import { OperatorError } from './operator.ts'

export function addressList(lines: readonly string[]): (address: string) => boolean {
  const blocks: AddressBlock[] = []
  for (const line of lines) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    const block = parseBlock(text)
    if (block === null) throw new OperatorError(`'${text}' is neither an address nor a block of addresses`)
    blocks.push(block)
  }
  return address => isInBlocks(address, blocks)
}
