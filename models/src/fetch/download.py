"""Downloads one pinned wheel: argv is package, version, target file, length in bytes.

The machine's own pip says where the wheel is and how to get there: index, mirrors, proxies, certificates and credentials are
its configuration. A target that is there in part is continued. Prints `at N` as bytes arrive. What arrives is not trusted:
the caller checks the SHA-256.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

BLOCK = 256 * 1024
ATTEMPTS = 5


def say(done):
    print("at", done, flush=True)


def copy(source, out, done, length):
    """Copies from a readable to the file, no more than the wheel is long."""
    while done < length:
        block = source.read(min(BLOCK, length - done))
        if not block:
            break
        out.write(block)
        done += len(block)
        say(done)
    return done


def find(package, version):
    """The wheel's link and pip's own session, from pip's own configuration."""
    from pip._internal.commands import create_command
    from pip._vendor.packaging.specifiers import SpecifierSet

    command = create_command("download")
    options, _ = command.parse_args(["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "-q", package])
    context = command.main_context()
    context.__enter__()
    session = command.get_default_session(options)
    finder = command._build_package_finder(options, session)
    best = finder.find_best_candidate(package, SpecifierSet("==" + version)).best_candidate
    if best is None:
        raise LookupError("the package index has no wheel of " + package + " " + version)
    return best.link, session


def resume(package, version, target, length):
    """Downloads with pip's parts, going on where an earlier try ended."""
    link, session = find(package, version)
    if link.is_file:
        with open(link.file_path, "rb") as source, open(target, "wb") as out:
            copy(source, out, 0, length)
        return
    for attempt in range(ATTEMPTS):
        done = os.path.getsize(target) if os.path.exists(target) else 0
        if done >= length:
            return
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers["Range"] = "bytes=%d-" % done
        try:
            with session.get(link.url_without_fragment, headers=headers, stream=True) as answer:
                answer.raise_for_status()
                # A server that does not know ranges sends everything again.
                whole = answer.status_code != 206
                with open(target, "wb" if whole else "ab") as out:
                    done = copy(answer.raw, out, 0 if whole else done, length)
            if done >= length:
                return
            problem = "the connection ended early"
        except Exception as error:
            problem = type(error).__name__
        print(problem, file=sys.stderr)
        time.sleep(min(2**attempt, 8) if attempt + 1 < ATTEMPTS else 0)
    raise ConnectionError("gave up after %d tries" % ATTEMPTS)


def whole(package, version, target):
    """Lets pip download the wheel in one go: for a pip whose parts are not what `resume` expects."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-q", "-d", folder]
        subprocess.run(pip + [package + "==" + version], check=True, stdout=subprocess.DEVNULL)
        (name,) = os.listdir(folder)
        shutil.move(os.path.join(folder, name), target)
    say(os.path.getsize(target))


def main():
    package, version, target, length = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    try:
        resume(package, version, target, length)
    except (ImportError, AttributeError, TypeError) as error:
        print("pip's parts are not as expected (%s), downloading in one go" % error, file=sys.stderr)
        whole(package, version, target)
    except Exception as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(1)


main()
