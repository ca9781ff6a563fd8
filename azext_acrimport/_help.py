# SPDX-License-Identifier: MIT
"""Help pages. A test parses every example with the real parser."""

from knack.help_files import helps

helps["acr import"] = """
type: command
short-summary: Import an image or OCI artifact from any registry into an Azure container registry, without Docker.
long-summary: >
    The image is streamed through this machine, with all its platforms and with the signatures, SBOMs and attestations
    that refer to it; its digest is kept and every byte is checked. Where this machine may not go, or where much would
    move inside Azure, the registry's own service imports it instead; the result says which engine did it and why.
    What the target holds already is not moved. The tag is written last, so it names a complete image or is as it was.
    The result is written to standard output, progress and errors to standard error.
    Exit codes: 0 imported or already there, 1 failed, 2 wrong usage, 3 source or registry not found.
examples:
  - name: Import an image from Docker Hub, with all its platforms.
    text: >
        az acr import --name myregistry --source docker.io/library/hello-world:latest --image hello-world:latest
  - name: Import from the Microsoft Container Registry under the same repository and tag.
    text: >
        az acr import --name myregistry --source mcr.microsoft.com/hello-world:latest
  - name: Import from another registry of the subscription, signed in as you are with `az login`.
    text: >
        az acr import --name myregistry --source mysourceregistry.azurecr.io/app/web:v1
  - name: Import from a registry in another subscription, named by its resource ID.
    text: >
        az acr import --name myregistry --source app/web:v1 --image web:v1
        --registry /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sourceGroup/providers/Microsoft.ContainerRegistry/registries/mysourceregistry
  - name: Import exactly one image by its digest, under two tags.
    text: >
        az acr import --name myregistry --image app/web:v1 --image app/web:stable
        --source mysourceregistry.azurecr.io/app/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  - name: Import by digest without making a tag.
    text: >
        az acr import --name myregistry --repository app/web
        --source mysourceregistry.azurecr.io/app/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  - name: Import from a private registry; the password is read from a file, so it is not on the command line.
    text: >
        az acr import --name myregistry --source registry.contoso.com/team/app:1.0 --username robot --password secret
  - name: Import from a registry of another tenant, with a repository-scoped token or a service principal of it.
    text: >
        az acr import --name myregistry --source foreignregistry.azurecr.io/app/web:v1 --username puller --password secret
  - name: Import from a registry of another tenant with an Entra access token, which needs no user name.
    text: >
        az acr import --name myregistry --source foreignregistry.azurecr.io/app/web:v1 --password token
  - name: Import a Helm chart, with the credential that `docker login` left.
    text: >
        az acr import --name myregistry --source ghcr.io/contoso/charts/app:1.2.3 --image charts/app:1.2.3
  - name: Import through the regional endpoint of a geo-replicated registry.
    text: >
        az acr import --name myregistry.eastus.geo.azurecr.io --source mcr.microsoft.com/hello-world:latest
  - name: Import what `docker save` has written, without a network to the registry that it came from.
    text: >
        az acr import --name myregistry --source docker-archive:app.tar --image app/web:v1
  - name: Import one image of an OCI layout, as skopeo, buildah or docker buildx write it.
    text: >
        az acr import --name myregistry --source oci-archive:images.tar:v1 --image app/web:v1
  - name: Move a tag that exists in the target to another image.
    text: >
        az acr import --name myregistry --source docker.io/library/alpine:3.20 --image alpine:stable --force
  - name: Import two platforms of a multi-platform image; the digest changes with that.
    text: >
        az acr import --name myregistry --source docker.io/library/alpine:3.20 --platform linux/amd64 --platform linux/arm64/v8
  - name: Import the image alone, without its signatures and SBOMs.
    text: >
        az acr import --name myregistry --source mysourceregistry.azurecr.io/app/web:v1 --referrers none
  - name: See first what would be copied, and whether the tag is free.
    text: >
        az acr import --name myregistry --source docker.io/library/alpine:3.20 --dry-run --output table
  - name: Let the registry's own service import it, where this machine may not go, and give up after an hour.
    text: >
        az acr import --name myregistry --source mcr.microsoft.com/hello-world:latest --engine service --timeout 3600
  - name: Hand over to the service and go on; the result has the operation to ask about later.
    text: >
        az acr import --name myregistry --source mcr.microsoft.com/hello-world:latest --no-wait --query operation --output tsv
  - name: Copy between two registries that are not in Azure; nothing is asked of Azure then.
    text: >
        az acr import --name localhost:5000 --source localhost:5001/team/app:1.0 --engine embedded --jobs 8
  - name: Use another resource group than the one that would be found by name.
    text: >
        az acr import --name myregistry --resource-group MyResourceGroup --source mcr.microsoft.com/hello-world:latest
"""

helps["acr import-batch"] = """
type: command
short-summary: Import many images, of a list, of a file, of repositories by patterns, or of a whole registry.
long-summary: >
    One sign-in for each registry, one pool of connections, and each layer moves once, whatever number of images share it.
    It goes on after failures and says what has become of each image; run again, it does only what is missing, and asks one
    HEAD a side for what is there. Repositories keep their path unless --prefix, --strip-prefix or a target says otherwise.
    The report is written to standard output, also after a failure, progress and a summary to standard error.
    Exit codes: 0 all imported or already there, 1 something failed, 2 wrong usage, 3 the target or the only source does
    not exist.
examples:
  - name: Import the images of a list, one a line, where a second word on a line is the target's name.
    text: >
        az acr import-batch --name myregistry --file images.txt
  - name: Import a list that another program writes.
    text: >
        az acr import-batch --name myregistry --file -
  - name: Import what a batch file says, which may name the target, too.
    text: >
        az acr import-batch --file batch.yaml --report report.xml
  - name: Import tags by range, without some, the newest of them, below another name.
    text: >
        az acr import-batch --name myregistry --source docker.io/library/alpine --tags ">=3.18 <4" --exclude "*-rc*"
        --newest 5 --strip-prefix library --prefix base/
  - name: Import single tags and all tags of a pattern, of two repositories.
    text: >
        az acr import-batch --name myregistry --source docker.io/library/nginx --source docker.io/library/redis
        --tags latest "1.2?" "/^7\\.[24]$/"
  - name: Move all of a registry, with signatures; the same command again proves that nothing is missing.
    text: >
        az acr import-batch --name myregistry --source oldregistry.azurecr.io --referrers all
  - name: Move the repositories below one path of a registry that is named by its resource ID, one tag only.
    text: >
        az acr import-batch --name myregistry --source app/web --tags v1
        --registry /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/sourceGroup/providers/Microsoft.ContainerRegistry/registries/mysourceregistry
  - name: See first what would be done, and how many pulls Docker Hub still allows.
    text: >
        az acr import-batch --name myregistry --source docker.io/library/alpine --dry-run --output table
  - name: Leave tags alone that point to something else by now; or move them all.
    text: >
        az acr import-batch --name myregistry --file images.txt --on-conflict skip
  - name: Move tags that point to something else.
    text: >
        az acr import-batch --name myregistry --file images.txt --force --platform linux/amd64
  - name: Do the second of five parts, in one of five jobs of a pipeline.
    text: >
        az acr import-batch --name myregistry --file images.txt --shard 2/5 --fail-fast --timeout 3600
  - name: Import from a private registry with user name and password.
    text: >
        az acr import-batch --name myregistry --source registry.contoso.com/team/app --username robot --password secret
  - name: Let the registry's own service import them, some at once; or copy between two registries outside Azure.
    text: >
        az acr import-batch --name myregistry --file images.txt --engine service --resource-group MyResourceGroup --jobs 4
"""

helps["acr import-wait"] = """
type: command
short-summary: Wait for an import that the registry's own service does.
long-summary: >
    It asks until the service has ended, and returns the result. Interrupted, or after --timeout, the service goes on.
examples:
  - name: Wait for what `az acr import --no-wait` has begun, for ten minutes at most.
    text: >
        az acr import-wait --timeout 600 --operation
        "https://management.azure.com/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.ContainerRegistry/locations/EASTUS/operationResults/registries-0123?api-version=2025-11-01"
"""
