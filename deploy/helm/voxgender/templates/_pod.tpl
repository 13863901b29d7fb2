{{/* What the pods of servers and workers have in common. */}}
{{- define "voxgender.pod" -}}
serviceAccountName: {{ include "voxgender.fullname" . }}
automountServiceAccountToken: false
# Else the cluster would tell each pod of a Service named voxgender by VOXGENDER_PORT, which is a setting.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: data
    persistentVolumeClaim:
      claimName: {{ include "voxgender.claim" . }}
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 64Mi
  {{- if .Values.store.existingSecret }}
  - name: secrets
    secret:
      secretName: {{ .Values.store.existingSecret }}
      defaultMode: 0440
      items:
        - key: {{ .Values.store.key }}
          path: voxgender_store_url
  {{- end }}
  {{- if .Values.licence.existingSecret }}
  - name: licence
    secret:
      secretName: {{ .Values.licence.existingSecret }}
      defaultMode: 0440
      items:
        - key: {{ .Values.licence.key }}
          path: licence.json
  {{- end }}
{{- end -}}

{{/* What their containers have in common. */}}
{{- define "voxgender.container" -}}
image: {{ include "voxgender.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "voxgender.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /var/lib/voxgender
  - name: tmp
    mountPath: /tmp
  {{- if .Values.store.existingSecret }}
  - name: secrets
    mountPath: /etc/voxgender/secrets
    readOnly: true
  {{- end }}
  {{- if .Values.licence.existingSecret }}
  - name: licence
    mountPath: /etc/voxgender/licence
    readOnly: true
  {{- end }}
{{- end -}}

{{- define "voxgender.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "voxgender.env" -}}
{{- if .Values.store.existingSecret }}
- name: VOXGENDER_SECRETS_DIR
  value: /etc/voxgender/secrets
- name: VOXGENDER_SPOOL_DIR
  value: /var/lib/voxgender/spool
{{- else }}
- name: VOXGENDER_STORE_URL
  value: sqlite:////var/lib/voxgender/voxgender.db
{{- end }}
{{- if .Values.licence.existingSecret }}
- name: VOXGENDER_LICENCE_FILE
  value: /etc/voxgender/licence/licence.json
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: VOXGENDER_{{ $name }}
  {{- /* A whole number of seven digits and more would come out as 1.34217728e+08. */}}
  {{- if and (kindIs "float64" $value) (eq $value (floor $value)) }}
  value: {{ int64 $value | quote }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Pods of one component rather on several nodes than on one: (dict "root" . "component" "server") */}}
{{- define "voxgender.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "voxgender.selector" . | nindent 8 }}
{{- end -}}
