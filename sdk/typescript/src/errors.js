// Why a document cannot be read, sorted by what the caller can do.

export class ConfmanError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}
export class Unavailable extends ConfmanError {}
export class OtherStore extends ConfmanError {}
export class MirrorError extends ConfmanError {}
export class NoSuchKey extends ConfmanError {}
export class WrongType extends ConfmanError {}
export class Refused extends ConfmanError {
  constructor(status, code, detail) {
    super(detail || code);
    this.status = status;
    this.code = code;
  }
}
