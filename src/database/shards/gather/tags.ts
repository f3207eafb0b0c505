// The tag of a statement that ran on several shards: the same words, the counts added.

const counted = /^(.*?)(\d+)$/

/** `UPDATE 3` and `UPDATE 4` are `UPDATE 7`; tags without a count are the first's. */
export function addTags(tags: readonly string[]): string {
  const first = tags[0] ?? ''
  const [, words] = counted.exec(first) ?? []
  if (words === undefined) return first
  return `${words}${tags.reduce((sum, tag) => sum + countOf(tag), 0)}`
}

/** 0 where it has none. */
export function countOf(tag: string): number {
  return Number(counted.exec(tag)?.[2] ?? 0)
}

/** The tag with another count. */
export function withCount(tag: string, count: number): string {
  const [, words] = counted.exec(tag) ?? []
  return words === undefined ? tag : `${words}${count}`
}
