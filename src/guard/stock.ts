// What a quota in the main thread tells other parts there: is everything sold? What is taken is taken for good; what is only
// reserved may come back and does not count. By the memory that all parts of one process share.

type Reader = (quota: string) => Promise<boolean>

const readers = new WeakMap<object, Reader>()

export function tellStock(memory: object, reader: Reader): void {
  readers.set(memory, reader)
}

/** False also where nobody knows. */
export async function isSoldOut(memory: object, quota: string): Promise<boolean> {
  return (await readers.get(memory)?.(quota)) ?? false
}
