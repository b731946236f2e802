// Adding files to the knowledge: dropped or chosen, each uploaded by itself, with its progress and its own reason if refused.
import { csrfToken } from "../lib/api";
import { pageData } from "../lib/config";
import { announce, h, icon } from "../lib/dom";
import { t } from "../lib/i18n";

interface UploadData {
  url: string;
  mostBytes: number;
}

interface Taken {
  source: string;
  detail?: string;
  title?: string;
}

const { url, mostBytes } = pageData<UploadData>("upload-data")!;
const form = document.getElementById("knowledge-upload") as HTMLFormElement;
const zone = document.getElementById("knowledge-drop")!;
const list = document.getElementById("knowledge-uploads")!;
const input = document.getElementById("files") as HTMLInputElement;
const waiting = new Map<HTMLElement, { file: File; name: HTMLElement; leave: HTMLElement }>();
let line: Promise<void> = Promise.resolve();

/** Sends a file; resolves with the server's answer, rejects with its sentence. */
function send(file: File, progress: (share: number) => void): Promise<Taken> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new Error(t("The server cannot be reached. Check the connection.")));
    request.onload = () => {
      const answer = request.response as Taken | null;
      if (request.status < 300 && answer) resolve(answer);
      else reject(new Error(answer?.detail ?? answer?.title ?? t("The server answered with error {status}.", { status: request.status })));
    };
    const body = new FormData();
    body.append("file", file);
    for (const name of ["audiences", "expires_at"]) {
      const value = (form.elements.namedItem(name) as HTMLInputElement | null)?.value.trim();
      if (value) body.append(name, value);
    }
    request.send(body);
  });
}

async function take(file: File, row: HTMLElement, name: HTMLElement): Promise<void> {
  const bar = h("progress", { max: 100, value: 0, "aria-label": file.name });
  row.append(bar);
  try {
    if (file.size > mostBytes) {
      throw new Error(t("A file has at most {most} MB.", { most: Math.floor(mostBytes / 2 ** 20) }));
    }
    const taken = await send(file, (share) => (bar.value = Math.round(share * 100)));
    name.replaceChildren(h("a", { href: `/service/knowledge/sources/${taken.source}/` }, file.name));
    row.append(h("span", { class: "badge badge-ok" }, icon("check"), t("Uploaded")));
    announce(t("“{name}” is uploaded and will be read.", { name: file.name }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    row.append(h("span", { class: "badge badge-bad" }, icon("x"), t("Refused")), h("small", {}, reason));
    announce(`${file.name}: ${reason}`);
  } finally {
    bar.remove();
  }
}

/** Lists files; they are sent with the form, when it is said for whom they are. */
function add(files: Iterable<File>): void {
  for (const file of files) {
    const name = h("span", { class: "clip", title: file.name }, file.name);
    const row = h("li", {}, name);
    const leave = h(
      "button",
      {
        class: "button button-plain button-icon button-small",
        type: "button",
        "aria-label": t("Leave out {name}", { name: file.name }),
        onclick: () => {
          waiting.delete(row);
          row.remove();
          list.hidden = list.childElementCount === 0;
        },
      },
      icon("x"),
    );
    row.append(leave);
    list.append(row);
    waiting.set(row, { file, name, leave });
  }
  list.hidden = list.childElementCount === 0;
  input.value = "";
}

input.addEventListener("change", () => add(input.files ?? []));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (waiting.size === 0) input.click();
  for (const [row, { file, name, leave }] of waiting) {
    leave.remove();
    // One after another: the server reads them one after another, too.
    line = line.then(() => take(file, row, name));
  }
  waiting.clear();
});
for (const type of ["dragenter", "dragover"]) {
  zone.addEventListener(type, (event) => {
    event.preventDefault();
    zone.toggleAttribute("data-over", true);
  });
}
for (const type of ["dragleave", "drop"]) zone.addEventListener(type, () => zone.toggleAttribute("data-over", false));
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  add((event as DragEvent).dataTransfer?.files ?? []);
});
// A file dropped beside the zone must not replace the page.
for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
