// What the challenge's pages say, by language. Plain words; each text stands alone, so that a screen reader reads sense.

export interface PageTexts {
  readonly title: string
  readonly why: string
  readonly hint: string
  readonly go: string
  /** `{seconds}` */
  readonly noScript: string
  readonly other: string
  readonly wait: string
  /** `{seconds}` */
  readonly waiting: string
  readonly form: string
  readonly failed: string
  readonly old: string
  readonly changed: string
  readonly busy: string
  readonly cookies: string
  readonly again: string
  readonly passed: string
  readonly back: string
  readonly request: string
}

const en: PageTexts = {
  title: 'One moment, please',
  why: 'We check that you are not a program. This takes a few seconds, and you will not be asked again for a while.',
  hint: 'Your browser solves a small sum. Nothing is sent to anybody else.',
  go: 'Continue',
  noScript:
    'Your browser runs no scripts here. You will get in by waiting: this page goes on by itself in {seconds} seconds.',
  other: 'Does this not work for you?',
  wait: 'Wait instead',
  waiting: 'Please wait. This page goes on by itself in {seconds} seconds.',
  form: 'What you sent has not arrived yet. After this check, go back and send it once more.',
  failed: 'The check did not succeed. Please try once more.',
  old: 'This page is too old. Please begin again.',
  changed: 'Your network or browser has changed since the check. Please try once more.',
  busy: 'Many people are waiting at the moment.',
  cookies:
    'Your browser did not keep our cookie. Please allow cookies for this site, then try again: without them you would be asked again and again.',
  again: 'Try again',
  passed: 'Thank you, you have passed.',
  back: 'Go back and send your form once more',
  request: 'Request',
}

const de: PageTexts = {
  title: 'Einen Moment bitte',
  why: 'Wir prüfen, dass Sie kein Programm sind. Das dauert wenige Sekunden, und danach werden Sie eine Weile nicht mehr gefragt.',
  hint: 'Ihr Browser löst eine kleine Rechenaufgabe. An Dritte wird nichts gesendet.',
  go: 'Weiter',
  noScript:
    'Ihr Browser führt hier keine Skripte aus. Sie kommen durch Warten hinein: Diese Seite geht in {seconds} Sekunden von selbst weiter.',
  other: 'Funktioniert das bei Ihnen nicht?',
  wait: 'Stattdessen warten',
  waiting: 'Bitte warten. Diese Seite geht in {seconds} Sekunden von selbst weiter.',
  form: 'Was Sie gesendet haben, ist noch nicht angekommen. Gehen Sie nach dieser Prüfung zurück und senden Sie es noch einmal.',
  failed: 'Die Prüfung ist nicht gelungen. Bitte versuchen Sie es noch einmal.',
  old: 'Diese Seite ist zu alt. Bitte beginnen Sie von vorn.',
  changed:
    'Ihr Netz oder Ihr Browser hat sich seit der Prüfung geändert. Bitte versuchen Sie es noch einmal.',
  busy: 'Im Moment warten sehr viele.',
  cookies:
    'Ihr Browser hat unser Cookie nicht behalten. Bitte erlauben Sie Cookies für diese Seite und versuchen Sie es noch einmal: Ohne sie würden Sie immer wieder gefragt.',
  again: 'Noch einmal versuchen',
  passed: 'Danke, Sie haben bestanden.',
  back: 'Zurückgehen und das Formular noch einmal senden',
  request: 'Anfrage',
}

const fr: PageTexts = {
  title: 'Un instant, s’il vous plaît',
  why: 'Nous vérifions que vous n’êtes pas un programme. Cela prend quelques secondes et ne vous sera plus demandé pendant un moment.',
  hint: 'Votre navigateur résout un petit calcul. Rien n’est envoyé à des tiers.',
  go: 'Continuer',
  noScript:
    'Votre navigateur n’exécute pas de scripts ici. Il suffit d’attendre : cette page continue d’elle-même dans {seconds} secondes.',
  other: 'Cela ne fonctionne pas ?',
  wait: 'Attendre à la place',
  waiting: 'Veuillez patienter. Cette page continue d’elle-même dans {seconds} secondes.',
  form: 'Votre envoi n’est pas encore arrivé. Après cette vérification, revenez en arrière et envoyez-le de nouveau.',
  failed: 'La vérification a échoué. Veuillez réessayer.',
  old: 'Cette page est trop ancienne. Veuillez recommencer.',
  changed: 'Votre réseau ou votre navigateur a changé depuis la vérification. Veuillez réessayer.',
  busy: 'Beaucoup de personnes attendent en ce moment.',
  cookies:
    'Votre navigateur n’a pas gardé notre cookie. Autorisez les cookies pour ce site, puis réessayez : sans eux, la question reviendrait sans cesse.',
  again: 'Réessayer',
  passed: 'Merci, c’est réussi.',
  back: 'Revenir et envoyer le formulaire de nouveau',
  request: 'Requête',
}

const es: PageTexts = {
  title: 'Un momento, por favor',
  why: 'Comprobamos que usted no es un programa. Tarda unos segundos y no se lo volveremos a pedir durante un rato.',
  hint: 'Su navegador resuelve un pequeño cálculo. No se envía nada a terceros.',
  go: 'Continuar',
  noScript:
    'Su navegador no ejecuta scripts aquí. Podrá entrar esperando: esta página continúa sola en {seconds} segundos.',
  other: '¿No le funciona?',
  wait: 'Esperar en su lugar',
  waiting: 'Espere, por favor. Esta página continúa sola en {seconds} segundos.',
  form: 'Lo que envió aún no ha llegado. Después de esta comprobación, vuelva atrás y envíelo otra vez.',
  failed: 'La comprobación no ha funcionado. Inténtelo otra vez.',
  old: 'Esta página es demasiado antigua. Empiece de nuevo.',
  changed: 'Su red o su navegador ha cambiado desde la comprobación. Inténtelo otra vez.',
  busy: 'En este momento hay muchas personas esperando.',
  cookies:
    'Su navegador no ha guardado nuestra cookie. Permita las cookies de este sitio e inténtelo otra vez: sin ellas se le preguntaría una y otra vez.',
  again: 'Intentar otra vez',
  passed: 'Gracias, ha pasado la comprobación.',
  back: 'Volver y enviar el formulario otra vez',
  request: 'Solicitud',
}

const it: PageTexts = {
  title: 'Un momento, per favore',
  why: 'Verifichiamo che lei non sia un programma. Richiede pochi secondi e per un po’ non le sarà più chiesto.',
  hint: 'Il browser risolve un piccolo calcolo. Nulla viene inviato a terzi.',
  go: 'Continua',
  noScript:
    'Il browser non esegue script qui. Si entra aspettando: questa pagina prosegue da sola tra {seconds} secondi.',
  other: 'Non funziona?',
  wait: 'Aspettare invece',
  waiting: 'Attendere prego. Questa pagina prosegue da sola tra {seconds} secondi.',
  form: 'Ciò che ha inviato non è ancora arrivato. Dopo questa verifica torni indietro e lo invii di nuovo.',
  failed: 'La verifica non è riuscita. Riprovi.',
  old: 'Questa pagina è troppo vecchia. Ricominci da capo.',
  changed: 'La rete o il browser sono cambiati dopo la verifica. Riprovi.',
  busy: 'In questo momento molte persone stanno aspettando.',
  cookies:
    'Il browser non ha conservato il nostro cookie. Consenta i cookie per questo sito e riprovi: senza, la domanda tornerebbe ogni volta.',
  again: 'Riprova',
  passed: 'Grazie, verifica superata.',
  back: 'Torna indietro e invia di nuovo il modulo',
  request: 'Richiesta',
}

const nl: PageTexts = {
  title: 'Een ogenblik alstublieft',
  why: 'We controleren of u geen programma bent. Dit duurt enkele seconden en wordt daarna een tijd niet meer gevraagd.',
  hint: 'Uw browser lost een kleine som op. Er gaat niets naar anderen.',
  go: 'Doorgaan',
  noScript:
    'Uw browser voert hier geen scripts uit. U komt binnen door te wachten: deze pagina gaat vanzelf verder over {seconds} seconden.',
  other: 'Werkt dit niet bij u?',
  wait: 'In plaats daarvan wachten',
  waiting: 'Even geduld. Deze pagina gaat vanzelf verder over {seconds} seconden.',
  form: 'Wat u hebt verzonden is nog niet aangekomen. Ga na deze controle terug en verzend het nog eens.',
  failed: 'De controle is niet gelukt. Probeer het nog eens.',
  old: 'Deze pagina is te oud. Begin opnieuw.',
  changed: 'Uw netwerk of browser is sinds de controle veranderd. Probeer het nog eens.',
  busy: 'Er wachten op dit moment veel mensen.',
  cookies:
    'Uw browser heeft onze cookie niet bewaard. Sta cookies voor deze site toe en probeer het nog eens: zonder cookies blijft de vraag terugkomen.',
  again: 'Opnieuw proberen',
  passed: 'Bedankt, de controle is gelukt.',
  back: 'Ga terug en verzend het formulier nog eens',
  request: 'Verzoek',
}

const pt: PageTexts = {
  title: 'Um momento, por favor',
  why: 'Verificamos que não é um programa. Demora alguns segundos e não lhe será pedido de novo durante algum tempo.',
  hint: 'O seu navegador resolve um pequeno cálculo. Nada é enviado a terceiros.',
  go: 'Continuar',
  noScript:
    'O seu navegador não executa scripts aqui. Poderá entrar esperando: esta página continua sozinha dentro de {seconds} segundos.',
  other: 'Não funciona?',
  wait: 'Esperar em vez disso',
  waiting: 'Aguarde, por favor. Esta página continua sozinha dentro de {seconds} segundos.',
  form: 'O que enviou ainda não chegou. Depois desta verificação, volte atrás e envie de novo.',
  failed: 'A verificação não resultou. Tente de novo.',
  old: 'Esta página é demasiado antiga. Comece de novo.',
  changed: 'A sua rede ou o seu navegador mudou desde a verificação. Tente de novo.',
  busy: 'Neste momento há muitas pessoas à espera.',
  cookies:
    'O seu navegador não guardou o nosso cookie. Permita cookies neste site e tente de novo: sem eles, a pergunta voltaria sempre.',
  again: 'Tentar de novo',
  passed: 'Obrigado, passou na verificação.',
  back: 'Voltar e enviar o formulário de novo',
  request: 'Pedido',
}

const pl: PageTexts = {
  title: 'Proszę chwilę poczekać',
  why: 'Sprawdzamy, czy to nie program. Trwa to kilka sekund, a potem przez jakiś czas nie zapytamy ponownie.',
  hint: 'Przeglądarka rozwiązuje małe zadanie. Nic nie jest wysyłane do innych.',
  go: 'Dalej',
  noScript:
    'Przeglądarka nie uruchamia tu skryptów. Wystarczy poczekać: ta strona przejdzie dalej sama za {seconds} s.',
  other: 'To nie działa?',
  wait: 'Zamiast tego poczekaj',
  waiting: 'Proszę czekać. Ta strona przejdzie dalej sama za {seconds} s.',
  form: 'Wysłane dane jeszcze nie dotarły. Po tym sprawdzeniu wróć i wyślij je ponownie.',
  failed: 'Sprawdzenie się nie powiodło. Spróbuj jeszcze raz.',
  old: 'Ta strona jest zbyt stara. Zacznij od nowa.',
  changed: 'Sieć lub przeglądarka zmieniła się od sprawdzenia. Spróbuj jeszcze raz.',
  busy: 'W tej chwili czeka wiele osób.',
  cookies:
    'Przeglądarka nie zachowała naszego pliku cookie. Zezwól tej stronie na pliki cookie i spróbuj ponownie: bez nich pytanie będzie wracać.',
  again: 'Spróbuj ponownie',
  passed: 'Dziękujemy, sprawdzenie się powiodło.',
  back: 'Wróć i wyślij formularz ponownie',
  request: 'Żądanie',
}

const ja: PageTexts = {
  title: '少々お待ちください',
  why: 'プログラムによるアクセスでないことを確認しています。数秒で終わり、しばらくの間は再び確認されません。',
  hint: 'ブラウザーが小さな計算を行います。第三者には何も送信されません。',
  go: '続ける',
  noScript:
    'このブラウザーではスクリプトが動作しません。お待ちいただければ、{seconds} 秒後に自動的に進みます。',
  other: 'うまくいきませんか。',
  wait: '代わりに待つ',
  waiting: 'お待ちください。{seconds} 秒後に自動的に進みます。',
  form: '送信内容はまだ届いていません。確認の後、前のページに戻って再度送信してください。',
  failed: '確認できませんでした。もう一度お試しください。',
  old: 'このページは古くなりました。最初からやり直してください。',
  changed: '確認の後にネットワークまたはブラウザーが変わりました。もう一度お試しください。',
  busy: '現在、多くの方がお待ちです。',
  cookies:
    'クッキーが保存されませんでした。このサイトのクッキーを許可してから、もう一度お試しください。許可しないと、確認が繰り返されます。',
  again: 'もう一度試す',
  passed: 'ありがとうございます。確認できました。',
  back: '前のページに戻ってフォームを再度送信する',
  request: 'リクエスト',
}

const zh: PageTexts = {
  title: '请稍候',
  why: '我们正在确认访问者不是程序。只需几秒钟，之后一段时间内不会再次询问。',
  hint: '您的浏览器会进行一个小计算，不会向任何第三方发送数据。',
  go: '继续',
  noScript: '您的浏览器在此不运行脚本。请稍等，本页将在 {seconds} 秒后自动继续。',
  other: '无法完成？',
  wait: '改为等待',
  waiting: '请稍候，本页将在 {seconds} 秒后自动继续。',
  form: '您发送的内容尚未送达。完成确认后，请返回并重新发送。',
  failed: '确认未成功，请再试一次。',
  old: '此页面已过期，请重新开始。',
  changed: '确认之后您的网络或浏览器发生了变化，请再试一次。',
  busy: '目前等待的人很多。',
  cookies: '您的浏览器没有保存我们的 Cookie。请允许本网站使用 Cookie 后再试，否则会反复要求确认。',
  again: '再试一次',
  passed: '谢谢，确认成功。',
  back: '返回并重新发送表单',
  request: '请求',
}

const texts: Readonly<Record<string, PageTexts>> = { en, de, fr, es, it, nl, pt, pl, ja, zh }

/** Of the widget's own texts: its file is named otherwise. */
const widgetNames: Readonly<Record<string, string>> = { fr: 'fr-fr', es: 'es-es', pt: 'pt-pt', zh: 'zh-cn' }

export const languages: readonly string[] = Object.keys(texts)

export function textsOf(language: string): PageTexts {
  return texts[language] ?? en
}

export function widgetLanguage(language: string): string {
  return widgetNames[language] ?? language
}

const rangesMax = 16

/** The first that the client likes best (RFC 9110 12.5.4) and that is there; else the first of `offered`. */
export function languageFor(accept: string | undefined, offered: readonly string[]): string {
  const known = offered.filter(language => language in texts)
  let best = known[0] ?? 'en'
  let bestQuality = 0
  for (const range of (accept ?? '').split(',', rangesMax)) {
    const [tag = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const language = tag.split('-', 1)[0] as string
    const given = parameters.find(parameter => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number.parseFloat(given.slice(2)) || 0
    if (known.includes(language) && quality > bestQuality) {
      best = language
      bestQuality = quality
    }
  }
  return best
}
