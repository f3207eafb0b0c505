// Remembers who bought, so that the next order form is filled in: name and email in a session, in the Redis at CACHE_URL,
// where every instance finds it. Without Redis nobody is remembered. A convenience: whatever fails here fails no order.

const nobody = { recall: async () => ({}), remember: async () => null, close: async () => {} }

export async function createVisitors({ redis, secret }) {
  if (!redis || !secret) return nobody
  // Here, as a start without them is half a second shorter.
  const { createSessions } = await import('tenfold/sessions')
  const sessions = createSessions({ secrets: [secret], redis, whenAway: 'anonymous' })
  const failed = error => console.error(`sessions: ${error.message}`)
  return {
    async recall(cookies) {
      try {
        const session = await sessions.open(cookies)
        return { name: session.get('name'), email: session.get('email') }
      } catch (error) {
        failed(error)
        return {}
      }
    },
    /** The cookie that the answer has to carry; null: none. */
    async remember(cookies, { name, email }) {
      try {
        const session = await sessions.open(cookies)
        session.set('name', name)
        session.set('email', email)
        await session.save()
        return session.setCookie()
      } catch (error) {
        failed(error)
        return null
      }
    },
    close: () => sessions.close(),
  }
}
